/** Asking a node how it is, without failing when it is not there. */
import { ROUTES } from "@hanse/api";
import { HanseError } from "@hanse/protocol";
import { createClient } from "@hanse/sdk";
import type { NodeSnapshot } from "../status/node-snapshot.ts";

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
  links: undefined,
  waiting: undefined,
  reason: undefined,
};

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

async function refusalOf(work: Promise<unknown>): Promise<HanseError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof HanseError) return error;
    throw error;
  }
}

export async function probeNode(url: string, timeoutMs: number): Promise<NodeProbe> {
  const client = createClient({ url, timeoutMs, retries: 0 });
  const refusal = await refusalOf(client.request(ROUTES.getReady));
  if (refusal?.code === "SDK_UNREACHABLE") return SILENT;
  if (refusal?.code === "SDK_TIMEOUT") {
    return { ...SILENT, reason: `its door does not answer within ${timeoutMs / 1000} s` };
  }
  const reason = refusal?.message;
  try {
    const status = await client.status();
    return {
      answered: true,
      ready: refusal === undefined,
      health: healthOf(refusal),
      height: status.committedHeight,
      stateRoot: status.stateRoot,
      peersConnected: status.peers.filter((peer) => peer.connected).length,
      peersKnown: status.peers.length,
      links: status.peers
        .filter((peer) => peer.connected)
        .map(({ id, healthPpm = 0, roundTripMs }) => ({ id, healthPpm, roundTripMs })),
      waiting: status.mempool.transactions,
      reason,
    };
  } catch (error) {
    if (!(error instanceof HanseError)) throw error;
    return { ...SILENT, answered: true, health: "unhealthy", reason: reason ?? error.message };
  }
}
