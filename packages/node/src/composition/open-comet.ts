/** CometBFT as the ordering engine of a node: its process beside this one, found by its folder. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createCometEngine,
  createCometProcess,
  createCometRpc,
  requireCometBinary,
  requireCometHome,
} from "@hanse/cometbft";
import { BLOCK_BYTES_CEILING, validatorSetAt } from "@hanse/modules";
import type { OrderingEngine } from "@hanse/ordering";
import type { OrderingParts } from "./open-ordering.ts";

/** What systems take as the path of a socket, with its last byte. */
const SOCKET_PATH_BYTES_MAX = 100;

/** In the node's own folder, or in a new one of the system's when that is too deep. */
function socketPath(dataDir: string): string {
  const path = join(dataDir, "abci.sock");
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return path;
  return join(mkdtempSync(join(tmpdir(), "hanse-abci-")), "abci.sock");
}

/** @throws HanseError `COMET_BINARY` when no CometBFT is installed, `COMET_HOME` without its folder. */
export function openComet(parts: OrderingParts): OrderingEngine {
  const { config, identity, ledger, store, clock, report } = parts;
  const { genesis, ledgerId } = identity;
  const { home, rpcPort, binary } = config.comet;
  requireCometHome(home);
  const log = parts.log.child({ part: "cometbft" });
  return createCometEngine({
    self: config.node.id,
    ledgerId,
    setAt: (height) => validatorSetAt(store.state, height).set,
    genesisTime: genesis.time,
    app: ledger,
    blocks: store,
    clock,
    blockIntervalMsMin: () => ledger.tip.params.blockIntervalMsMin,
    blockBytesMax: Math.max(genesis.params.blockBytesMax, BLOCK_BYTES_CEILING),
    address: { path: socketPath(config.node.dataDir) },
    rpc: createCometRpc(`http://127.0.0.1:${rpcPort}`),
    process: createCometProcess({
      binary: binary ?? requireCometBinary(process.env),
      home,
      logFile: join(home, "comet.log"),
      onChange: (event, facts) =>
        event === "started" ? log.info(facts, "CometBFT runs") : log.warn(facts, "CometBFT ended"),
    }),
    stalledAfterMs: config.ordering.stalledMs,
    report,
  });
}
