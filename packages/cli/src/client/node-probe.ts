/** Asking a node how it is, without failing when it is not there. */
import { ROUTES } from "@hanse/api";
import { HanseError } from "@hanse/protocol";
import type { NodeSnapshot } from "../status/node-snapshot.ts";
import { requestJson } from "./http-ledger.ts";

export interface NodeProbe extends Omit<NodeSnapshot, "id" | "apiUrl" | "pid"> {
  /** Whether its door answered at all. */
  readonly answered: boolean;
  /** Whether it takes transactions now. */
  readonly ready: boolean;
}

const SILENT: NodeProbe = {
  answered: false,
  ready: false,
  health: "down",
  height: undefined,
  stateRoot: undefined,
  peersConnected: undefined,
  peersKnown: undefined,
  waiting: undefined,
  reason: undefined,
};

async function readReadiness(url: string, timeoutMs: number): Promise<HanseError | undefined> {
  try {
    await requestJson(url, ROUTES.getReady, { timeoutMs });
    return undefined;
  } catch (error) {
    if (error instanceof HanseError) return error;
    throw error;
  }
}

function healthOf(refusal: HanseError | undefined): NodeSnapshot["health"] {
  switch (refusal?.code) {
    case undefined:
      return "ready";
    case "NODE_SYNCING":
      return "syncing";
    case "NODE_STALLED":
      return "stalled";
    case "NODE_STARTING":
      return "starting";
    default:
      return "unhealthy";
  }
}

export async function probeNode(url: string, timeoutMs: number): Promise<NodeProbe> {
  const refusal = await readReadiness(url, timeoutMs);
  if (refusal?.code === "CLI_NODE_UNREACHABLE" || refusal?.code === "CLI_NODE_TIMEOUT") {
    return refusal.code === "CLI_NODE_TIMEOUT"
      ? { ...SILENT, reason: `its door does not answer within ${timeoutMs / 1000} s` }
      : SILENT;
  }
  const reason = refusal?.message;
  try {
    const status = await requestJson(url, ROUTES.getStatus, { timeoutMs });
    return {
      answered: true,
      ready: refusal === undefined,
      health: healthOf(refusal),
      height: status.committedHeight,
      stateRoot: status.stateRoot,
      peersConnected: status.peers.filter((peer) => peer.connected).length,
      peersKnown: status.peers.length,
      waiting: status.mempool.transactions,
      reason,
    };
  } catch (error) {
    if (!(error instanceof HanseError)) throw error;
    return { ...SILENT, answered: true, health: "unhealthy", reason: reason ?? error.message };
  }
}
