/**
 * Probes of policy posr on the wire, on the channel `sync` beside ordering and snapshots, and what
 * is signed for them (spec/policies.md, "Probes"). Decoding is total.
 */
import {
  asArray,
  asBytes,
  asUint,
  type Bytes,
  DOMAINS,
  decodeCbor,
  encodeCbor,
  HASH_BYTES,
  HanseError,
  type Hash,
  type ValidatorId,
  withDomain,
} from "@hanse/protocol";
import type { Height } from "../engine/interfaces.ts";
import { SLOTS } from "../policy/posr-params.ts";

/** Ed25519. */
const SIGNATURE_BYTES = 64;

/** What the target of a probe answers. */
export interface ProbeAnswer {
  readonly epoch: number;
  readonly slot: number;
  readonly challenge: Hash;
  /** Newest block that the target executed. */
  readonly tipHeight: Height;
  readonly tipHash: Hash;
  /** Of the target's consensus key over `probeAnswerMessage`. */
  readonly signature: Bytes;
}

export type ProbeMessage =
  | {
      readonly t: "probe";
      readonly epoch: number;
      readonly slot: number;
      readonly challenge: Hash;
    }
  | ({ readonly t: "answer" } & ProbeAnswer);

/** Type numbers on the wire; never reused. */
export const PROBE_TYPES = {
  probe: 48,
  answer: 49,
} as const satisfies Record<ProbeMessage["t"], number>;

/** Whether a message of the channel is one of these, told from its first bytes. */
export function isProbeMessage(bytes: Bytes): boolean {
  const type = bytes[2];
  const isKnown = type === PROBE_TYPES.probe || type === PROBE_TYPES.answer;
  return (bytes[0] ?? 0) >> 5 === 4 && bytes[1] === 0x18 && isKnown;
}

export function encodeProbeMessage(m: ProbeMessage): Bytes {
  const common = [PROBE_TYPES[m.t], m.epoch, m.slot, m.challenge];
  return encodeCbor(m.t === "probe" ? common : [...common, m.tipHeight, m.tipHash, m.signature]);
}

/** @throws HanseError `PROBE_MESSAGE`, `CBOR_*` or `FIELD_INVALID`; nothing else on any bytes. */
export function decodeProbeMessage(bytes: Bytes): ProbeMessage {
  const f = asArray(decodeCbor(bytes), "message");
  const isAnswer = f[0] === PROBE_TYPES.answer;
  if (!isAnswer && f[0] !== PROBE_TYPES.probe) {
    throw new HanseError("PROBE_MESSAGE", "malformed", "message: unknown type");
  }
  asArray(f, "message", isAnswer ? 7 : 4);
  const slot = asUint(f[2], "probe.slot");
  if (slot >= SLOTS) {
    throw new HanseError("PROBE_MESSAGE", "malformed", `probe.slot: expected less than ${SLOTS}`);
  }
  const common = {
    epoch: asUint(f[1], "probe.epoch"),
    slot,
    challenge: asBytes(f[3], "probe.challenge", HASH_BYTES),
  };
  if (!isAnswer) return { t: "probe", ...common };
  return {
    t: "answer",
    ...common,
    tipHeight: asUint(f[4], "probe.tipHeight"),
    tipHash: asBytes(f[5], "probe.tipHash", HASH_BYTES),
    signature: asBytes(f[6], "probe.signature", SIGNATURE_BYTES),
  };
}

/** Who asks whom, and when. */
export interface ProbePlace {
  readonly ledgerId: Hash;
  readonly epoch: number;
  readonly slot: number;
  readonly prober: ValidatorId;
  readonly target: ValidatorId;
}

/** What the prober's consensus key signs: the signature's hash is moment and challenge. */
export function probeMomentMessage(place: ProbePlace): Bytes {
  const { ledgerId, epoch, slot, prober, target } = place;
  return withDomain(DOMAINS.probeMoment, encodeCbor([ledgerId, epoch, slot, prober, target]));
}

/** What the target's consensus key signs: good for this prober's question alone. */
export function probeAnswerMessage(
  place: ProbePlace,
  answer: Pick<ProbeAnswer, "challenge" | "tipHeight" | "tipHash">,
): Bytes {
  const { ledgerId, epoch, slot, prober, target } = place;
  const { challenge, tipHeight, tipHash } = answer;
  return withDomain(
    DOMAINS.probeAnswer,
    encodeCbor([ledgerId, epoch, slot, prober, target, challenge, tipHeight, tipHash]),
  );
}
