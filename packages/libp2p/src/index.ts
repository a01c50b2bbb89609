export {
  createLibp2pCarrier,
  type Libp2pCarrier,
  type Libp2pCarrierOptions,
  libp2pIdOf,
} from "./libp2p-carrier.ts";
