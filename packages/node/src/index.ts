export * from "./config/load-config.ts";
export * from "./config/schema.ts";
export type { PeerAddress, Setting } from "./config/setting.ts";
export { createNodeFolder, type FolderNote } from "./folder/node-folder.ts";
