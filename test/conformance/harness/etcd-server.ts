/** One real etcd of three members for all tests of a process; each ledger has its own keys in it. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { findEtcdBinary, findFreePorts } from "@hanse/cli";

const MEMBERS = 3;
const READY_MS = 90_000;

let started: Promise<readonly string[]> | undefined;
const children: ChildProcess[] = [];
let folder: string | undefined;

/** Client addresses, once its members agree. */
export function startEtcd(): Promise<readonly string[]> {
  started ??= start();
  return started;
}

export function stopEtcd(): void {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  folder = undefined;
}

async function start(): Promise<readonly string[]> {
  const ports = await findFreePorts(2 * MEMBERS, 26_000 + (process.pid % 500) * 10);
  const root = mkdtempSync(path.join(tmpdir(), "hanse-etcd-"));
  folder = root;
  process.once("exit", stopEtcd);
  const peers = Array.from({ length: MEMBERS }, (_, i) => `http://127.0.0.1:${ports[MEMBERS + i]}`);
  const urls = Array.from({ length: MEMBERS }, (_, i) => `http://127.0.0.1:${ports[i]}`);
  const cluster = peers.map((peer, i) => `m${i}=${peer}`).join(",");
  for (const [i, url] of urls.entries()) {
    const flags = {
      name: `m${i}`,
      "data-dir": path.join(root, `m${i}`),
      "listen-client-urls": url,
      "advertise-client-urls": url,
      "listen-peer-urls": peers[i]!,
      "initial-advertise-peer-urls": peers[i]!,
      "initial-cluster": cluster,
    };
    const argv = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    children.push(spawn(findEtcdBinary(process.env)!, argv, { stdio: "ignore" }));
  }
  const until = performance.now() + READY_MS;
  while (performance.now() < until) {
    try {
      const response = await fetch(`${urls[0]}/health`, { signal: AbortSignal.timeout(1_000) });
      if (((await response.json()) as { health: string }).health === "true") return urls;
    } catch {
      // Not there yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`etcd was not ready within ${READY_MS} ms`);
}
