/**
 * How our block stands inside CometBFT's: the encoded header is its first transaction, ours follow.
 * All else of our block follows from CometBFT's own fields, the same on every node: the header's
 * time, its proposer, who signed the height below (`lastCert`), and whom it reports (evidence).
 */
import {
  EVIDENCE_PER_BLOCK_MAX,
  encodeReportedOffence,
  type Height,
  hashLastCert,
  offenceKey,
  type ReportedOffence,
} from "@hanse/ordering";
import {
  type Block,
  type Bytes,
  COMET_FLAGS,
  type CometMember,
  type CometTime,
  cometMembers,
  decodeHeader,
  encodeCertificate,
  encodeHeader,
  equalBytes,
  evidenceRoot,
  type Hash,
  hashHeader,
  indicesToBitmap,
  toHanseError,
  toHex,
  type ValidatorSet,
} from "@hanse/protocol";
import type { CommitInfo, Misbehavior } from "../abci/messages.ts";

/** The block that every new one stands on. */
export interface Parent {
  readonly height: Height;
  readonly hash: Hash;
  readonly time: number;
}

/** Everything of a block that the height and CometBFT determine. */
export interface BlockPlace {
  readonly ledgerId: Hash;
  readonly engineEpoch: number;
  readonly parent: Parent;
  /** In force at the parent's height. */
  readonly parentSet: ValidatorSet;
  readonly set: ValidatorSet;
  readonly nextSet: ValidatorSet;
  readonly lastSetChangeHeight: Height;
  readonly blockIntervalMsMin: number;
}

/** CometBFT's part of a block, as three of its calls carry it. */
export interface CometBlock {
  readonly height: Height;
  readonly time: CometTime;
  readonly proposerAddress: Bytes;
  readonly lastCommit: CommitInfo;
  /** Checked by CometBFT before anybody votes for the block. */
  readonly misbehavior: readonly Misbehavior[];
}

export function toMs({ seconds, nanos }: CometTime): number {
  return seconds * 1000 + Math.floor(nanos / 1_000_000);
}

/** Milliseconds since 1970 of our header: CometBFT's median, but after the block below. */
export function headerTime(place: BlockPlace, comet: CometBlock): number {
  const { parent, blockIntervalMsMin } = place;
  return Math.max(toMs(comet.time), parent.time + Math.max(1, blockIntervalMsMin));
}

export function memberByAddress(
  set: Pick<ValidatorSet, "members">,
  address: Bytes,
): CometMember | undefined {
  return cometMembers(set).find((member) => equalBytes(member.address, address));
}

/**
 * Who signed the block below, as our `lastCert`: a certificate without signatures, which CometBFT
 * keeps in its own block. Empty above genesis and above another engine's block.
 */
export function lastCertOf(place: BlockPlace, { lastCommit }: CometBlock): Bytes {
  const { parent, parentSet, engineEpoch } = place;
  if (lastCommit.votes.length === 0) return new Uint8Array(0);
  const members = new Map(cometMembers(parentSet).map((one) => [toHex(one.address), one]));
  const signers: number[] = [];
  for (const { validator, flag } of lastCommit.votes) {
    const member = members.get(toHex(validator.address));
    if (flag === COMET_FLAGS.commit && member !== undefined) signers.push(member.place);
  }
  return encodeCertificate({
    kind: "finalize",
    engineEpoch,
    height: parent.height,
    view: lastCommit.round,
    validatorsHash: parentSet.hash,
    blockHash: parent.hash,
    signers: indicesToBitmap(signers, parentSet.members.length),
    signatures: [],
  });
}

/** What CometBFT's number of a misbehavior is called on the ledger. */
export function reportedKind(type: number): ReportedOffence["kind"] {
  return type === 1 ? "reportedDoubleVote" : "reportedAttack";
}

/**
 * Misbehavior of members as our evidence: one piece per member and height, in CometBFT's order, the
 * first `EVIDENCE_PER_BLOCK_MAX`. Who is no member any more, or has another key now, has nothing to
 * lose here.
 */
export function evidenceOf(place: BlockPlace, { misbehavior }: CometBlock): Bytes[] {
  const pieces = new Map<string, Bytes>();
  for (const { type, validator, height } of misbehavior) {
    const member = memberByAddress(place.set, validator.address);
    if (member === undefined || pieces.size === EVIDENCE_PER_BLOCK_MAX) continue;
    const { engineEpoch } = place;
    const offence = { kind: reportedKind(type), engineEpoch, height, validator: member.id };
    const key = offenceKey(offence);
    if (!pieces.has(key)) pieces.set(key, encodeReportedOffence(offence));
  }
  return [...pieces.values()];
}

/** Transactions of CometBFT's block for one of ours. */
export function toCometTransactions(block: Block): Bytes[] {
  return [encodeHeader(block.header), ...block.transactions];
}

/** Bytes of a list of transactions as CometBFT counts them: each with its tag and length. */
export function cometSize(transactions: readonly Bytes[]): number {
  let size = 0;
  for (const { length } of transactions) {
    let lengthBytes = 1;
    for (let rest = length; rest > 127; rest = Math.floor(rest / 128)) lengthBytes++;
    size += 1 + lengthBytes + length;
  }
  return size;
}

export type ReadBlock =
  | { readonly ok: true; readonly block: Block; readonly hash: Hash }
  | { readonly ok: false; readonly reason: string };

/** Our block from CometBFT's, or why it is none. Depends on nothing but its arguments. */
export function readBlock(
  place: BlockPlace,
  comet: CometBlock,
  transactions: readonly Bytes[],
): ReadBlock {
  const [first, ...rest] = transactions;
  if (first === undefined) return { ok: false, reason: "it carries no header of ours" };
  let header: Block["header"];
  try {
    header = decodeHeader(first);
  } catch (thrown) {
    return { ok: false, reason: toHanseError(thrown).message };
  }
  if (!equalBytes(encodeHeader(header), first)) {
    return { ok: false, reason: "its header is not in its one form" };
  }
  const lastCert = lastCertOf(place, comet);
  const block: Block = { header, lastCert, evidence: evidenceOf(place, comet), transactions: rest };
  const reason = misfit(place, comet, block);
  return reason === undefined
    ? { ok: true, block, hash: hashHeader(header) }
    : { ok: false, reason };
}

function misfit(place: BlockPlace, comet: CometBlock, { header, lastCert, evidence }: Block) {
  const { parent } = place;
  if (comet.height !== parent.height + 1) return `height ${comet.height} above ${parent.height}`;
  if (header.height !== comet.height)
    return `height ${header.height} in CometBFT's ${comet.height}`;
  if (!equalBytes(header.ledgerId, place.ledgerId)) return "it names another ledger";
  if (header.engineEpoch !== place.engineEpoch) return "it names another epoch";
  if (!equalBytes(header.parentHash, parent.hash)) return "it stands on another block";
  if (header.time !== headerTime(place, comet)) return "its time is not CometBFT's";
  if (header.proposer !== memberByAddress(place.set, comet.proposerAddress)?.id)
    return "it names another proposer";
  if (!equalBytes(header.validatorsHash, place.set.hash)) return "it names another validator set";
  if (!equalBytes(header.nextValidatorsHash, place.nextSet.hash))
    return "it names another next set";
  if (header.lastSetChangeHeight !== place.lastSetChangeHeight) return "another set change";
  if (!equalBytes(header.lastCertHash, hashLastCert(lastCert))) {
    return "its certificate is not the one of CometBFT's last commit";
  }
  if (!equalBytes(header.evidenceHash, evidenceRoot(evidence))) {
    return "its evidence is not CometBFT's";
  }
  if (header.policyExtra.length > 0) return "it carries a policy's extra bytes";
  return undefined;
}
