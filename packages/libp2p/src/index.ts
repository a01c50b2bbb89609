export {
  createLibp2pCarrier,
  type Libp2pCarrier,
  type Libp2pCarrierOptions,
} from "./libp2p-carrier.ts";
