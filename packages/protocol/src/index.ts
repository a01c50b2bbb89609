export * from "./block/block.ts";
export * from "./block/certificate.ts";
export * from "./block/certificate-verdict.ts";
export * from "./block/header.ts";
export * from "./block/validator-set.ts";
export * from "./encoding/bytes.ts";
export * from "./encoding/cbor.ts";
export * from "./encoding/fields.ts";
export * from "./errors/hanse-error.ts";
export * from "./errors/nearest-name.ts";
export * from "./finality/attested.ts";
export * from "./finality/comet/comet-verdict.ts";
export * as cometWire from "./finality/comet/message-codec.ts";
export * from "./finality/comet/signed-header.ts";
export * from "./finality/finality-proof.ts";
export * from "./finality/finality-verdict.ts";
export * from "./finality/fork-file.ts";
export * from "./finality/fork-verdict.ts";
export * from "./finality/light-chain.ts";
export * from "./finality/light-page.ts";
export * from "./genesis/constitution.ts";
export * from "./genesis/genesis-document.ts";
export * from "./genesis/genesis-json.ts";
export * from "./genesis/genesis-rules.ts";
export * from "./genesis/parameters.ts";
export * from "./hash/domain.ts";
export * from "./keys/algorithms.ts";
export * from "./keys/key-text.ts";
export {
  createKeyPair,
  KEY_BACKENDS,
  type KeyBackendInfo,
  type KeyPair,
  readyKeyBackends,
  SECRET_KEY_BYTES,
  signMessage,
  verifySignature,
} from "./keys/signatures.ts";
export * from "./merkle/state-proof.ts";
export * from "./merkle/state-value.ts";
export * from "./merkle/transaction-tree.ts";
export * from "./outcome/outcome.ts";
export type { ReceiptCheck } from "./receipt/check-list.ts";
export * from "./receipt/receipt.ts";
export * from "./receipt/receipt-facts.ts";
export * from "./receipt/receipt-json.ts";
export * from "./receipt/receipt-trust.ts";
export * from "./receipt/receipt-verdict.ts";
export * from "./transaction/native.ts";
