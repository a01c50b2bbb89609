/** What passing on signed envelopes of others needs from the links between nodes. */
import type { Channel } from "@hanse/ordering";
import type { Bytes, ValidatorId } from "@hanse/protocol";

/** Links to neighbours; may drop anything. The transport over TLS is one, a test's memory another. */
export interface EnvelopeLinks {
  readonly self: ValidatorId;
  /** Neighbours with an open link. */
  peers(): readonly ValidatorId[];
  sendEnvelope(to: ValidatorId, channel: Channel, envelope: Bytes): void;
  onEnvelope(handler: (from: ValidatorId, channel: Channel, envelope: Bytes) => void): void;
  onPeer(handler: (peer: ValidatorId, up: boolean) => void): void;
}
