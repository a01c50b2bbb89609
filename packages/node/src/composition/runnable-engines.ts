/** Which engines a node could go over to as it is set up: asked for before a ledger's engine changes. */
import type { EngineKind } from "@hanse/ordering";
import { toHanseError } from "@hanse/protocol";
import type { NodeConfig } from "../config/schema.ts";
import { openGateway } from "./open-etcd.ts";

export interface RunnableEngines {
  /** Besides the built-in one, which every node runs. */
  readonly engines: readonly EngineKind[];
  /** Why others cannot be run; one sentence each. */
  readonly missing: readonly string[];
}

/** Asks etcd once, for at most `etcd.requestMs`. */
export async function listRunnableEngines(
  config: Pick<NodeConfig, "etcd">,
): Promise<RunnableEngines> {
  const { urls } = config.etcd;
  try {
    const etcd = openGateway(config.etcd);
    try {
      await etcd.range({ key: "hanse", limit: 1 });
    } finally {
      etcd.close();
    }
    return { engines: ["etcd"], missing: [] };
  } catch (cause) {
    const { message } = toHanseError(cause);
    return {
      engines: [],
      missing: [`this node cannot go over to etcd (etcd.urls ${urls}): ${message}`],
    };
  }
}
