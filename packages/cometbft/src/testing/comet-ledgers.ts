/** Members in one process, each with a real CometBFT beside it that dies and comes back with it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKeyPair, sha256, utf8 } from "@hanse/protocol";
import {
  type ClusterOptions,
  createLedgerCluster,
  type EngineParts,
  type LedgerCluster,
} from "../../../ledger/src/testing/ledger-cluster.ts";
import { createCometEngine } from "../engine/create-comet-engine.ts";
import type { CometControl } from "../engine/options.ts";
import { type CometAddress, cometNodeId, createCometHome } from "../home/comet-home.ts";
import { createCometProcess } from "../process/comet-process.ts";
import { createCometRpc } from "../rpc/comet-rpc.ts";

/** How long a dead member's CometBFT may live on. */
const WATCH_MS = 10;

export interface CometLedgersOptions {
  readonly binary: string;
  readonly size: number;
  /** Two free ports for each member. */
  readonly ports: readonly number[];
}

/** CometBFT that is killed, not stopped, once its member is dead. */
function mortalProcess({ life }: EngineParts, binary: string, home: string): CometControl {
  const comet = createCometProcess({ binary, home, logFile: join(home, "comet.log") });
  let watch: NodeJS.Timeout | undefined;
  const stop = async () => {
    clearInterval(watch);
    await comet.stop();
  };
  return {
    get failure() {
      return comet.failure;
    },
    start(url) {
      comet.start(url);
      watch = setInterval(() => {
        if (!life.dead) return;
        if (comet.pid !== undefined) process.kill(comet.pid, "SIGKILL");
        void stop();
      }, WATCH_MS);
    },
    stop,
  };
}

/** A ledger whose members real CometBFT processes order; homes are in a folder that `stop` removes. */
export async function createCometCluster(
  { binary, size, ports }: CometLedgersOptions,
  options: Partial<ClusterOptions> = {},
): Promise<LedgerCluster> {
  const root = mkdtempSync(join(tmpdir(), "hanse-comet-"));
  const links = Array.from({ length: size }, (_, i) =>
    createKeyPair("ed25519", sha256(utf8(`link ${i}`))),
  );
  const at = (port: number | undefined): CometAddress => ({ host: "127.0.0.1", port: port! });

  async function createEngine(parts: EngineParts) {
    const { rig, index, app, store, clock, setAt, report } = parts;
    const { genesis, ledgerId } = rig;
    const { id } = genesis.nodes[index]!;
    const home = join(root, String(index));
    const rpc = at(ports[2 * index + 1]);
    createCometHome({
      folder: home,
      moniker: id,
      consensusKey: rig.nodeKeys[index]!,
      linkKey: links[index]!,
      genesis: {
        ledgerId,
        engineEpoch: 0,
        initialHeight: 1,
        time: genesis.time,
        blockBytesMax: genesis.params.blockBytesMax,
      },
      listen: at(ports[2 * index]),
      rpc,
      peers: links.flatMap((link, i) =>
        i === index ? [] : [{ nodeId: cometNodeId(link.publicKey.bytes), ...at(ports[2 * i]) }],
      ),
      blockIntervalMs: genesis.params.blockIntervalMsMin,
    });
    return createCometEngine({
      self: id,
      ledgerId,
      setAt,
      genesisTime: genesis.time,
      app,
      blocks: store,
      clock,
      blockIntervalMsMin: () => genesis.params.blockIntervalMsMin,
      blockBytesMax: genesis.params.blockBytesMax,
      address: { host: "127.0.0.1", port: 0 },
      rpc: createCometRpc(`http://127.0.0.1:${rpc.port}`),
      process: mortalProcess(parts, binary, home),
      stalledAfterMs: 3_000,
      report,
    });
  }

  const cluster = await createLedgerCluster({
    size,
    quorum: "byzantine",
    createEngine,
    ...options,
  });
  return {
    ...cluster,
    async stop() {
      await cluster.stop();
      rmSync(root, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}
