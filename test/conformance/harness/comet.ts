/** Members over CometBFT: a process of the real program beside each. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { findFreePorts } from "@hanse/cli";
import {
  cometNodeId,
  createCometEngine,
  createCometHome,
  createCometProcess,
  createCometRpc,
  findCometBinary,
} from "@hanse/cometbft";
import { createKeyPair, type KeyPair, sha256, toHex, utf8 } from "@hanse/protocol";
import {
  createLedgerCluster,
  type EngineParts,
} from "../../../packages/ledger/src/testing/ledger-cluster.ts";
import type { ConformanceEngine } from "./engines.ts";

const HOST = "127.0.0.1";
const root = mkdtempSync(path.join(tmpdir(), "hanse-comet-"));
const pids = new Set<() => number | undefined>();

/** After the tests: whatever still runs, and its folders. */
export function removeHomes(): void {
  for (const pid of pids) kill(pid());
  rmSync(root, { recursive: true, force: true, maxRetries: 20 });
}
process.once("exit", removeHomes);

function kill(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

interface Ports {
  readonly link: readonly number[];
  readonly rpc: readonly number[];
}

function linkKeyOf(index: number): KeyPair {
  return createKeyPair("ed25519", sha256(utf8(`link ${index}`)));
}

function writeHome({ rig, index }: EngineParts, folder: string, { link, rpc }: Ports): void {
  const { nodes, params, time } = rig.genesis;
  mkdirSync(folder, { recursive: true });
  createCometHome({
    folder,
    moniker: nodes[index]!.id,
    consensusKey: rig.nodeKeys[index]!,
    linkKey: linkKeyOf(index),
    genesis: {
      ledgerId: rig.ledgerId,
      engineEpoch: 0,
      initialHeight: 1,
      time,
      blockBytesMax: params.blockBytesMax,
    },
    listen: { host: HOST, port: link[index]! },
    rpc: { host: HOST, port: rpc[index]! },
    peers: nodes.flatMap((_, other) =>
      other === index
        ? []
        : [
            {
              nodeId: cometNodeId(linkKeyOf(other).publicKey.bytes),
              host: HOST,
              port: link[other]!,
            },
          ],
    ),
    blockIntervalMs: params.blockIntervalMsMin,
  });
}

export function comet(size: number, failuresMax: number): ConformanceEngine {
  const binary = findCometBinary(process.env);
  return {
    name: `cometbft, ${size}`,
    size,
    quorum: "byzantine",
    failuresMax,
    skip:
      binary === undefined ? "CometBFT is not in COMETBFT_BIN, PATH or ~/.cache/hanse/bin" : false,
    // Its votes are between its own processes.
    voteHeight: undefined,
    async create(options) {
      const found = await findFreePorts(2 * size, 27_000 + (process.pid % 400) * 10);
      const ports = { link: found.slice(0, size), rpc: found.slice(size) };
      const running: (() => number | undefined)[] = [];
      const cluster = await createLedgerCluster({
        size,
        quorum: "byzantine",
        async createEngine(parts) {
          const { rig, index, app, store, clock, setAt, report } = parts;
          const folder = path.join(root, toHex(rig.ledgerId).slice(0, 12), String(index));
          writeHome(parts, folder, ports);
          const control = createCometProcess({
            binary: binary!,
            home: folder,
            logFile: path.join(folder, "comet.log"),
          });
          running[index] = () => control.pid;
          pids.add(running[index]);
          return createCometEngine({
            self: parts.transport.self,
            ledgerId: rig.ledgerId,
            setAt,
            genesisTime: rig.genesis.time,
            app,
            blocks: store,
            clock,
            blockIntervalMsMin: () => rig.genesis.params.blockIntervalMsMin,
            blockBytesMax: rig.genesis.params.blockBytesMax,
            address: { path: path.join(folder, "abci.sock") },
            rpc: createCometRpc(`http://${HOST}:${ports.rpc[index]}`),
            process: control,
            stalledAfterMs: 1_500,
            report,
          });
        },
        ...options,
      });
      return {
        ...cluster,
        crash(index) {
          cluster.crash(index);
          kill(running[index]?.());
        },
        async restart(index, endAfter) {
          kill(running[index]?.());
          return cluster.restart(index, endAfter);
        },
      };
    },
  };
}
