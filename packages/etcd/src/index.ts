export { createEtcdEngine } from "./engine/etcd-engine.ts";
export { DEFAULT_TUNING, type EtcdEngineOptions, type EtcdTuning } from "./engine/options.ts";
export type { EtcdApi } from "./gateway/etcd-api.ts";
export { createEtcdGateway, type EtcdGatewayOptions } from "./gateway/gateway.ts";
