/**
 * The door is light: what a command line needs of a node. The node itself, with its servers and
 * drivers, is loaded when one is started.
 */
import type { RunnableEngines } from "./composition/runnable-engines.ts";
import type { NodeAdapters, RunningNode } from "./composition/start-node.ts";
import type { NodeConfig } from "./config/schema.ts";
import type { RecordCheck } from "./record/check-record.ts";

export type { RunnableEngines } from "./composition/runnable-engines.ts";
export type {
  Address,
  EngineWithRights,
  NodeAdapters,
  OpenedStore,
  RunningNode,
} from "./composition/start-node.ts";
export * from "./config/load-config.ts";
export * from "./config/schema.ts";
export type { PeerAddress, Setting } from "./config/setting.ts";
export { type NodeDisk, openDisk } from "./disk/open-disk.ts";
export type { NodeServices } from "./doors/services.ts";
export { createNodeFolder, type FolderNote } from "./folder/node-folder.ts";
export { prepareTlsKey } from "./folder/tls-key-files.ts";
export type { NodeLog } from "./log/create-log.ts";
export type { RecordCheck, RecordDifference } from "./record/check-record.ts";

/**
 * Starts a node in this process; what is left out of the adapters is the real thing.
 * @throws HanseError naming key, file and remedy.
 */
export async function startNode(
  config: NodeConfig,
  adapters: Partial<NodeAdapters> = {},
): Promise<RunningNode> {
  const { startDefaultNode } = await import("./composition/run-node.ts");
  return startDefaultNode(config, adapters);
}

/** Which engines a node of this configuration could go over to; asks etcd, at most `etcd.requestMs`. */
export async function listRunnableEngines(config: NodeConfig): Promise<RunnableEngines> {
  const { listRunnableEngines: list } = await import("./composition/runnable-engines.ts");
  return list(config);
}

/**
 * Checks the whole record of a node that does not run.
 * @throws HanseError `NODE_FOLDER_LOCKED` while it runs, `NODE_DATABASE_MISSING`, `STORAGE_*`.
 */
export async function checkRecord(config: NodeConfig): Promise<RecordCheck> {
  const { checkRecord: check } = await import("./record/check-record.ts");
  return check(config);
}

/** Runs a node as this process, with signals and exit codes: what `main.ts` does. */
export async function runNode(args: readonly string[]): Promise<void> {
  const { runNode: run } = await import("./composition/run-node.ts");
  await run(args);
}
