/**
 * Two messages of one validator that no honest one signs both of (spec/ordering.md, "Evidence").
 * An honest validator signs once per epoch, height, view and kind, whatever set was in force: so
 * the pair proves itself with the validator's key alone, and no history is needed to judge it.
 */
import {
  asArray,
  asBytes,
  asInt,
  asText,
  asUint,
  type Bytes,
  type CborValue,
  compareBytes,
  decodeCbor,
  encodeCbor,
  HASH_BYTES,
  HanseError,
  type Hash,
  SIGNATURE_BYTES,
  type ValidatorId,
  type ValidatorSet,
  voteMessage,
} from "@hanse/protocol";
import type { Height, SignedPlace, SignPlace, View } from "../engine/interfaces.ts";
import type { SignatureCheck } from "../wire/bodies.ts";
import { EVIDENCE_BYTES_MAX, proposeMessage } from "../wire/messages.ts";

/** Blocks above the offence within which evidence may stand in a block. */
export const EVIDENCE_BLOCKS_MAX = 10_000;
export const EVIDENCE_PER_BLOCK_MAX = 16;

export type EvidenceKind =
  | "doublePropose"
  | "doubleNotarize"
  | "doubleFinalize"
  | "finalizeAndNullify";

export interface Evidence {
  readonly kind: EvidenceKind;
  readonly engineEpoch: number;
  readonly height: Height;
  readonly view: View;
  /** Of the set that both messages name. */
  readonly validatorsHash: Hash;
  readonly validator: ValidatorId;
  /** Of `finalizeAndNullify` the finalize vote; otherwise the one of the lower block hash. */
  readonly first: SignedPlace;
  readonly second: SignedPlace;
}

const KINDS: readonly SignPlace["kind"][] = ["propose", "notarize", "nullify", "finalize"];

function invalid(message: string): never {
  throw new HanseError("EVIDENCE_INVALID", "malformed", `evidence: ${message}`);
}

/** What a pair of kinds is called; undefined when an honest validator may sign both. */
function kindOf(first: SignPlace, second: SignPlace): EvidenceKind | undefined {
  if (first.kind === "finalize" && second.kind === "nullify") return "finalizeAndNullify";
  if (first.kind !== second.kind) return undefined;
  if (first.kind === "propose") return "doublePropose";
  if (first.kind === "notarize") return "doubleNotarize";
  return first.kind === "finalize" ? "doubleFinalize" : undefined;
}

function compareSubjects(a: SignPlace, b: SignPlace): number {
  const order = compareBytes(a.blockHash ?? new Uint8Array(0), b.blockHash ?? new Uint8Array(0));
  return order === 0 ? (a.parentView ?? -1) - (b.parentView ?? -1) : order;
}

/**
 * Evidence from two messages of one validator at one place, in either order.
 * @throws HanseError `EVIDENCE_INVALID` when they do not contradict each other.
 */
export function createEvidence(
  subject: Pick<Evidence, "engineEpoch" | "validatorsHash" | "validator">,
  one: SignedPlace,
  other: SignedPlace,
): Evidence {
  const ordered =
    one.kind === other.kind ? compareSubjects(one, other) < 0 : one.kind === "finalize";
  const [first, second] = ordered ? [one, other] : [other, one];
  const { engineEpoch, validatorsHash, validator } = subject;
  const { height, view } = first;
  const kind = kindOf(first, second);
  if (kind === undefined) invalid(`${first.kind} and ${second.kind} do not exclude each other`);
  if (second.height !== height || second.view !== view) invalid("two places");
  if (first.kind === second.kind && compareSubjects(first, second) === 0) {
    invalid("both messages are the same");
  }
  return { kind, engineEpoch, height, view, validatorsHash, validator, first, second };
}

function messageToCbor(m: SignedPlace): CborValue {
  return [KINDS.indexOf(m.kind), m.blockHash ?? null, m.parentView ?? null, m.signature];
}

export function encodeEvidence(e: Evidence): Bytes {
  return encodeCbor([
    e.engineEpoch,
    e.height,
    e.view,
    e.validatorsHash,
    e.validator,
    messageToCbor(e.first),
    messageToCbor(e.second),
  ]);
}

function messageFromCbor(
  value: CborValue | undefined,
  at: { readonly height: Height; readonly view: View },
  field: string,
): SignedPlace {
  const [number, hash, parent, signature] = asArray(value, field, 4);
  const kind = KINDS[asUint(number, `${field}.kind`)];
  if (kind === undefined) invalid(`${field}.kind: unknown`);
  if ((hash === null) !== (kind === "nullify")) invalid(`${field}.blockHash: not of its kind`);
  const names = kind === "notarize" || kind === "propose";
  if ((parent === null) === names) invalid(`${field}.parentView: not of its kind`);
  const parentView = parent === null ? undefined : asInt(parent, `${field}.parentView`);
  if (parentView !== undefined && (parentView < -1 || parentView >= at.view)) {
    invalid(`${field}.parentView: out of range`);
  }
  return {
    kind,
    ...at,
    ...(hash === null ? {} : { blockHash: asBytes(hash, `${field}.blockHash`, HASH_BYTES) }),
    ...(parentView === undefined ? {} : { parentView }),
    signature: asBytes(signature, `${field}.signature`, SIGNATURE_BYTES),
  };
}

/**
 * Form and contradiction only; whether the signatures hold is for `evidenceClaims`. One offence
 * has one encoding for each pair of signatures.
 * @throws HanseError `EVIDENCE_INVALID`, `FIELD_INVALID` or `CBOR_*`; nothing else on any bytes.
 */
export function decodeEvidence(bytes: Bytes): Evidence {
  if (bytes.length > EVIDENCE_BYTES_MAX) invalid(`more than ${EVIDENCE_BYTES_MAX} bytes`);
  const f = asArray(decodeCbor(bytes), "evidence", 7);
  const at = {
    height: asUint(f[1], "evidence.height"),
    view: asUint(f[2], "evidence.view"),
  };
  const first = messageFromCbor(f[5], at, "evidence.first");
  const subject = {
    engineEpoch: asUint(f[0], "evidence.engineEpoch"),
    validatorsHash: asBytes(f[3], "evidence.validatorsHash", HASH_BYTES),
    validator: asText(f[4], "evidence.validator"),
  };
  const evidence = createEvidence(subject, first, messageFromCbor(f[6], at, "evidence.second"));
  if (evidence.first !== first) invalid("its messages are not in order");
  return evidence;
}

const REPORTED_KINDS = ["reportedDoubleVote", "reportedAttack"] as const;

/**
 * What an engine of its own has proven against a member: the signatures stand in that engine's
 * blocks, which hand every node the same report with the same block.
 */
export interface ReportedOffence {
  readonly kind: (typeof REPORTED_KINDS)[number];
  readonly engineEpoch: number;
  readonly height: Height;
  readonly validator: ValidatorId;
}

export function encodeReportedOffence(o: ReportedOffence): Bytes {
  return encodeCbor([o.engineEpoch, o.height, REPORTED_KINDS.indexOf(o.kind), o.validator]);
}

/** Undefined = it is no report; the built-in engine lets none into a block. */
export function tryDecodeReportedOffence(bytes: Bytes): ReportedOffence | undefined {
  if (bytes.length > EVIDENCE_BYTES_MAX) return undefined;
  try {
    const f = asArray(decodeCbor(bytes), "report", 4);
    const kind = REPORTED_KINDS[asUint(f[2], "report.kind")];
    if (kind === undefined) return undefined;
    return {
      kind,
      engineEpoch: asUint(f[0], "report.engineEpoch"),
      height: asUint(f[1], "report.height"),
      validator: asText(f[3], "report.validator"),
    };
  } catch (error) {
    if (error instanceof HanseError) return undefined;
    throw error;
  }
}

/** Equal for all evidence of one offence: a validator answers once for each height. */
export function offenceKey(e: Pick<Evidence, "validator" | "height">): string {
  return `${e.height}:${e.validator}`;
}

/**
 * The two signatures that must hold; undefined when the set has no such validator, who then has
 * nothing to lose. Any set with the validator's key will do, as a rule the one in force now.
 */
export function evidenceClaims(
  e: Evidence,
  trust: { readonly set: ValidatorSet; readonly ledgerId: Hash },
): readonly [SignatureCheck, SignatureCheck] | undefined {
  const key = trust.set.members.find(({ id }) => id === e.validator)?.key;
  if (key === undefined) return undefined;
  const { engineEpoch, height, view, validatorsHash } = e;
  const claim = (m: SignedPlace): SignatureCheck => {
    const { kind, blockHash, parentView, signature } = m;
    const place = { ledgerId: trust.ledgerId, engineEpoch, height, view, validatorsHash };
    const message =
      kind === "propose"
        ? proposeMessage({ ...place, blockHash: blockHash!, parentView: parentView! })
        : voteMessage({
            ...place,
            kind,
            ...(blockHash === undefined ? {} : { blockHash }),
            ...(parentView === undefined ? {} : { parentView }),
          });
    return { key, message, signature };
  };
  return [claim(e.first), claim(e.second)];
}

/** Why evidence may not stand in a block, signatures apart; undefined = it may. Deterministic. */
export function evidenceRefusal(
  e: Evidence,
  block: { readonly height: Height; readonly engineEpoch: number; readonly set: ValidatorSet },
): string | undefined {
  if (e.height < 1 || e.height >= block.height) return "it is of no height below the block";
  if (block.height - e.height > EVIDENCE_BLOCKS_MAX) return "it has expired";
  if (e.engineEpoch > block.engineEpoch) return "it is of a later epoch";
  if (!block.set.members.some(({ id }) => id === e.validator)) {
    return `${e.validator} is no validator`;
  }
  return undefined;
}

export type EvidenceVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: string };

/**
 * Judges one encoded piece alone, for whoever holds a validator set and a ledger id. `verify`
 * checks one signature.
 */
export function verifyEvidence(
  bytes: Bytes,
  trust: { readonly set: ValidatorSet; readonly ledgerId: Hash },
  verify: (check: SignatureCheck) => boolean,
): EvidenceVerdict {
  let evidence: Evidence;
  try {
    evidence = decodeEvidence(bytes);
  } catch (error) {
    if (!(error instanceof HanseError)) throw error;
    return { ok: false, reason: error.message };
  }
  const claims = evidenceClaims(evidence, trust);
  if (claims === undefined) return { ok: false, reason: `${evidence.validator} is no validator` };
  const bad = claims.findIndex((claim) => !verify(claim));
  if (bad < 0) return { ok: true };
  return { ok: false, reason: `the ${bad === 0 ? "first" : "second"} signature does not hold` };
}
