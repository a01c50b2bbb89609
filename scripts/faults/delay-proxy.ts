/** A long line in place of a short one: passes bytes on, each chunk so much later. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Bytes on the way in one direction; beyond, nothing more is read until they have arrived. */
const ON_THE_WAY_MAX = 4 * 1024 * 1024;

export interface DelayProxy {
  readonly port: number;
  /** Bytes that went through. */
  readonly passed: number;
  stop(): Promise<void>;
}

export async function startDelayProxy(options: {
  readonly host: string;
  readonly target: { readonly host: string; readonly port: number };
  readonly delayMs: number;
}): Promise<DelayProxy> {
  const sockets = new Set<Socket>();
  let passed = 0;

  function carry(from: Socket, to: Socket): void {
    let onTheWay = 0;
    const later = (act: () => void) =>
      setTimeout(() => void (to.destroyed || act()), options.delayMs);
    from.on("data", (chunk: Buffer) => {
      passed += chunk.length;
      onTheWay += chunk.length;
      if (onTheWay > ON_THE_WAY_MAX) from.pause();
      later(() => {
        to.write(chunk);
        onTheWay -= chunk.length;
        if (onTheWay <= ON_THE_WAY_MAX) from.resume();
      });
    });
    from.on("end", () => later(() => to.end()));
    from.on("error", () => to.destroy());
    from.on("close", () => {
      sockets.delete(from);
      later(() => to.destroy());
    });
  }

  const server = createServer((near) => {
    const far = connect(options.target);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
    }
    carry(near, far);
    carry(far, near);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    get passed() {
      return passed;
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
