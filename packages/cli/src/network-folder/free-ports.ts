/** Ports that nobody listens on, for a new network's nodes. */
import { createServer } from "node:net";
import { HanseError } from "@hanse/protocol";

/** Below the range from which systems take ports for outgoing connections (32768 on Linux). */
export const PORT_BASE = 7400;
const PORT_MAX = 32_000;

/** Whether a listener can be opened on this port of all addresses. */
export function isPortFree(port: number, host = "0.0.0.0"): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The next `count` free ports from `base` up. @throws HanseError `CLI_NO_PORT` */
export async function findFreePorts(count: number, base: number = PORT_BASE): Promise<number[]> {
  const ports: number[] = [];
  for (let port = base; port <= Math.max(base + 2_000, PORT_MAX) && port < 65_536; port++) {
    if (await isPortFree(port)) ports.push(port);
    if (ports.length === count) return ports;
  }
  throw new HanseError(
    "CLI_NO_PORT",
    "unavailable",
    `port-base: no ${count} free ports from ${base} up; give another with --port-base`,
  );
}
