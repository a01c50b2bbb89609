/**
 * Following a ledger by headers alone, from a block that is trusted to a later one (spec/light.md).
 * Who may lie: whoever hands the headers over. A later header is believed when
 *
 * - the trusted set is still in force there, and a quorum of it made the header final;
 * - a believed header hands over to the set in force there, and a quorum of that made it final; or
 * - so much of the trusted weight signed it that an honest member of the trusted set is among the
 *   signers, and a quorum of the set it names made it final.
 *
 * The last way skips the changes in between. It is the skipping verification of Braithwaite et al.,
 * "A Tendermint Light Client", arXiv 2010.07031, with the overlap counted in weight.
 */
import { type BlockHeader, hashHeader } from "../block/header.ts";
import { quorumWeight, totalWeight, type ValidatorSet } from "../block/validator-set.ts";
import { equalBytes, toHex } from "../encoding/bytes.ts";
import {
  type GenesisDocument,
  genesisValidatorSet,
  ledgerIdOf,
} from "../genesis/genesis-document.ts";
import type { ReceiptTrust, TrustedSet } from "../receipt/receipt-trust.ts";
import type { FinalityProof } from "./finality-proof.ts";
import { type FinalityOptions, verifyFinality } from "./finality-verdict.ts";

/** A header, its proof, and the validator set that it names as its own. */
export interface LightBlock {
  readonly proof: FinalityProof;
  readonly set: ValidatorSet;
}

/** How far a follower has got. */
export interface LightState {
  readonly trust: TrustedSet;
  /** The trusted header, where it is at hand; needed to follow it into the next set. */
  readonly header?: BlockHeader;
}

/** How a header came to be believed. */
export type LightStep = "known" | "sameSet" | "handedOver" | "skipped";

export type LightVerdict =
  | { readonly ok: true; readonly state: LightState; readonly step: LightStep }
  | { readonly ok: false; readonly reason: string };

/** Trust in a genesis document: its first set, at height 0, below the first block. */
export function trustGenesis(genesis: GenesisDocument): TrustedSet {
  const ledgerId = ledgerIdOf(genesis);
  const { time } = genesis;
  return { ledgerId, height: 0, headerHash: ledgerId, time, set: genesisValidatorSet(genesis) };
}

/** Either form of trust as a place to begin from. */
export function trustedSetOf(trust: ReceiptTrust): TrustedSet {
  return "genesis" in trust ? trustGenesis(trust.genesis) : trust;
}

/**
 * Least weight of a trusted set's members among the signers of a header that is skipped to: more
 * than may lie (or, under the crash rule, than may fail), and more than a third in any case.
 */
export function skipWeightMin(set: ValidatorSet): number {
  const total = totalWeight(set);
  return Math.max(total - quorumWeight(set), Math.floor(total / 3)) + 1;
}

/** Weight in `trusted` of the members of `set` at these places, told by their keys. */
function sharedWeight(trusted: ValidatorSet, set: ValidatorSet, places: Iterable<number>): number {
  const keyOf = ({ key }: ValidatorSet["members"][number]) => key.algorithm + toHex(key.bytes);
  const weights = new Map(trusted.members.map((member) => [keyOf(member), member.vote]));
  let weight = 0;
  for (const place of places) weight += weights.get(keyOf(set.members[place]!)) ?? 0;
  return weight;
}

/** Whether skipping could succeed at all, without a look at any signature. */
export function maySkip(trusted: ValidatorSet, set: ValidatorSet): boolean {
  return sharedWeight(trusted, set, set.members.keys()) >= skipWeightMin(trusted);
}

function refuse(reason: string): LightVerdict {
  return { ok: false, reason };
}

/** What links a header to the trusted block below it, as far as it is known. */
function checkOrder({ trust, header: below }: LightState, header: BlockHeader): string | undefined {
  if (header.height < trust.height) return `it is below the trusted height ${trust.height}`;
  if (header.height === trust.height + 1 && !equalBytes(header.parentHash, trust.headerHash)) {
    return `it does not follow the trusted block ${trust.height}`;
  }
  if (header.lastSetChangeHeight > header.height) return "its validator set began above it";
  if (below === undefined) return undefined;
  if (header.time <= below.time) return "it is older than the block below";
  if (header.engineEpoch < below.engineEpoch) return "its engine epoch goes backwards";
  return undefined;
}

/**
 * Whether a block is believed by someone who trusts `state`, and what is trusted then.
 * @throws HanseError `KEYS_NOT_READY` alone.
 */
export function followLightBlock(
  state: LightState,
  block: LightBlock,
  options: FinalityOptions = {},
): LightVerdict {
  const { trust, header: below } = state;
  const { proof, set } = block;
  const { header } = proof;
  const fail = (reason: string) => refuse(`block ${header.height}: ${reason}`);
  if (!equalBytes(header.ledgerId, trust.ledgerId)) return fail("it belongs to another ledger");
  if (!equalBytes(header.validatorsHash, set.hash)) return fail("the set is not the one it names");
  const headerHash = hashHeader(header);
  const { ledgerId } = trust;
  const next: LightState = {
    trust: { ledgerId, height: header.height, headerHash, time: header.time, set },
    header,
  };
  if (header.height === trust.height) {
    if (!equalBytes(headerHash, trust.headerHash)) return fail("it is not the trusted one");
    return { ok: true, state: next, step: "known" };
  }
  const disorder = checkOrder(state, header);
  if (disorder !== undefined) return fail(disorder);
  const step = stepTo(trust, below, header);
  if (step === "skipped" && !maySkip(trust.set, set)) {
    return fail("too little of the trusted weight is left in its set: follow the set changes");
  }
  const verdict = verifyFinality(proof, { ledgerId: trust.ledgerId, set }, options);
  if (!verdict.ok) return fail(verdict.reason);
  if (step === "skipped") {
    const weight = sharedWeight(trust.set, set, verdict.signers);
    const least = skipWeightMin(trust.set);
    if (weight < least) {
      return fail(`trusted weight ${weight} signed it, ${least} is needed: follow the set changes`);
    }
  }
  return { ok: true, state: next, step };
}

/** By which rule a header would be believed. */
function stepTo(
  trust: TrustedSet,
  below: BlockHeader | undefined,
  header: BlockHeader,
): Exclude<LightStep, "known"> {
  // The first set reigns from height 1 on; trust in a genesis stands at height 0.
  const reigned = header.lastSetChangeHeight <= Math.max(trust.height, 1);
  if (reigned && equalBytes(header.validatorsHash, trust.set.hash)) return "sameSet";
  const handedOver =
    below !== undefined &&
    equalBytes(header.validatorsHash, below.nextValidatorsHash) &&
    header.lastSetChangeHeight === below.height + 1;
  return handedOver ? "handedOver" : "skipped";
}
