export { type AbciAddress, type AbciServer, openAbciServer } from "./abci/server.ts";
export { cometCaps, createCometEngine } from "./engine/create-comet-engine.ts";
export {
  type CometControl,
  type CometEngineOptions,
  cometBlockBytesMax,
} from "./engine/options.ts";
export {
  type CometAddress,
  type CometGenesis,
  type CometHome,
  type CometPeer,
  cometNodeId,
  createCometHome,
} from "./home/comet-home.ts";
export {
  COMET_MODULE,
  COMET_VERSION,
  type CometProcessOptions,
  cometCacheFolder,
  createCometProcess,
  findCometBinary,
  requireCometBinary,
  requireCometHome,
} from "./process/comet-process.ts";
export { type CometRpc, type CometStatus, createCometRpc } from "./rpc/comet-rpc.ts";
