/**
 * Judging fork files: whether two blocks of one height were made final, and which members signed
 * what no honest member signs (spec/forks.md). Every name rests on two messages that the member's
 * own key signed. Who may lie: whoever made the file; nobody honest is ever named.
 */
import { bitmapToIndices, type Certificate } from "../block/certificate.ts";
import { verifyCertificate } from "../block/certificate-verdict.ts";
import { hashHeader } from "../block/header.ts";
import {
  quorumWeight,
  totalWeight,
  type ValidatorInfo,
  type ValidatorSet,
} from "../block/validator-set.ts";
import { type Bytes, equalBytes, toHex } from "../encoding/bytes.ts";
import type { Hash } from "../hash/domain.ts";
import { CheckList, type ReceiptCheck, refuse } from "../receipt/check-list.ts";
import type { ReceiptTrust } from "../receipt/receipt-trust.ts";
import { SIGNED_HEADER } from "./comet/signed-header.ts";
import type { FinalityProof, QcProof } from "./finality-proof.ts";
import { type FinalityOptions, verifyFinality } from "./finality-verdict.ts";
import { decodeForkFile, type ForkFile } from "./fork-file.ts";
import { followLightBlock, type LightState, trustedSetOf } from "./light-chain.ts";

/** Two messages that contradict each other. */
export type ForkOffence =
  | "doubleFinalize"
  | "doubleNotarize"
  | "finalizeAndNullify"
  | "doublePrecommit"
  | "doubleAttest"
  | "twoEngines";

export interface ForkLiar {
  readonly member: ValidatorInfo;
  readonly offences: readonly ForkOffence[];
}

/** What is still missing to name the liars; whoever is asked and honest holds it. */
export interface ForkQuestion {
  /** The certificate that is asked for. */
  readonly kind: "notarize" | "nullify";
  readonly view: number;
  /** The block that the notarization is of. */
  readonly blockHash?: Hash;
  /** Each signed that it held this certificate. Who cannot show it signed without a reason. */
  readonly asked: readonly ValidatorInfo[];
}

export interface ForkFacts {
  readonly ledgerId: Hash;
  readonly height: number;
  readonly blocks: readonly [Hash, Hash];
  /** Members whose own signatures contradict each other, by id. */
  readonly liars: readonly ForkLiar[];
  /** Vote weight of the liars, and what the set tolerates. */
  readonly weight: number;
  readonly tolerated: number;
  readonly question?: ForkQuestion;
  /** Why nobody is named although the fork is proven, where no question would settle it. */
  readonly unattributable?: string;
}

export interface ForkVerdict {
  /** Whether the file proves a fork; that it names somebody is another matter. */
  readonly ok: boolean;
  readonly checks: readonly ReceiptCheck[];
  readonly reason?: string;
  readonly facts?: ForkFacts;
}

type Finding = Pick<ForkFacts, "liars" | "question" | "unattributable">;

/**
 * Whether a fork file proves that two blocks of one height were made final, and who is to blame, to
 * someone who trusts a genesis or a block below the fork. Never throws on bad input.
 * @throws HanseError `KEYS_NOT_READY` before `readyKeyBackends`, or `GENESIS_INVALID` on a genesis
 * document that breaks its own rules.
 */
export function verifyForkFile(
  bytes: Bytes,
  trust: ReceiptTrust,
  options: FinalityOptions = {},
): ForkVerdict {
  const trusted = trustedSetOf(trust);
  const checks = new CheckList("fork file");
  try {
    const file = checks.run("fork file", () => {
      const decoded = decodeForkFile(bytes);
      return [`${bytes.length} bytes in canonical form`, decoded];
    });
    const { height } = file.proofs[0].header;
    checks.run("ledger", () => {
      if (!equalBytes(file.ledgerId, trusted.ledgerId)) refuse("it is not the trusted one");
      return [toHex(file.ledgerId), undefined];
    });
    checks.run("two blocks", () => {
      const [{ header: one }, { header: other }] = file.proofs;
      if (height !== other.height) refuse("the blocks are of two heights");
      if (equalBytes(hashHeader(one), hashHeader(other))) refuse("both proofs are of one block");
      if (trusted.height >= height) {
        refuse(`trust a block below the fork at ${height}, not one at ${trusted.height}`);
      }
      return [`of height ${height}`, undefined];
    });
    const state = checks.run("way to the fork", () => [
      `${file.path.length} headers`,
      followPath(file, { trust: trusted }, options),
    ]);
    const signers = file.proofs.map((proof) =>
      checks.run(`proof of ${toHex(hashHeader(proof.header)).slice(0, 12)}…`, () => {
        const verdict = followLightBlock(state, { proof, set: file.set }, options);
        if (!verdict.ok) refuse(verdict.reason);
        const found = verifyFinality(proof, { ledgerId: file.ledgerId, set: file.set }, options);
        if (!found.ok) refuse(found.reason);
        return [`final by ${found.signers.length} of ${file.set.members.length}`, found.signers];
      }),
    ) as [readonly number[], readonly number[]];
    checks.run("certificates", () => [
      `${file.certificates.length} hold`,
      checkCertificates(file, options),
    ]);
    const found = checks.run("who lied", () => {
      const finding = blame(file, signers);
      return [describe(finding), finding];
    });
    return {
      ok: true,
      checks: checks.checks,
      facts: {
        ledgerId: file.ledgerId,
        height,
        blocks: [hashHeader(file.proofs[0].header), hashHeader(file.proofs[1].header)],
        weight: found.liars.reduce((sum, { member }) => sum + member.vote, 0),
        tolerated: totalWeight(file.set) - quorumWeight(file.set),
        ...found,
      },
    };
  } catch (thrown) {
    return checks.fail(thrown);
  }
}

function followPath(file: ForkFile, from: LightState, options: FinalityOptions): LightState {
  const { height } = file.proofs[0].header;
  let state = from;
  for (const block of file.path) {
    if (block.proof.header.height >= height) refuse("it leads to the fork's height or above");
    const verdict = followLightBlock(state, block, options);
    if (!verdict.ok) refuse(verdict.reason);
    if (verdict.state.trust.height === state.trust.height && state.header !== undefined) {
      refuse("a header stands twice");
    }
    state = verdict.state;
  }
  return state;
}

function describe({ liars, question, unattributable }: Finding): string {
  const names = liars.map(({ member, offences }) => `${member.id} (${offences.join(", ")})`);
  const parts = names.length === 0 ? [] : [names.join(", ")];
  if (unattributable !== undefined) parts.push(unattributable);
  if (question !== undefined) {
    const what = question.kind === "nullify" ? "nullification" : "notarization";
    const whom = question.asked.map(({ id }) => id).join(", ");
    parts.push(`open: ${whom} must show the ${what} of view ${question.view}`);
  }
  return parts.join("; ");
}

function blame(
  file: ForkFile,
  [one, other]: readonly [readonly number[], readonly number[]],
): Finding {
  const [first, second] = file.proofs;
  const named = (offence: ForkOffence): Finding => ({
    liars: sharedBy(file.set, [{ offence, one, other }]),
  });
  const nobody = (unattributable: string): Finding => ({ liars: [], unattributable });
  if (first.header.engineEpoch !== second.header.engineEpoch) {
    return nobody("the blocks are of two engine epochs, each with rules of its own");
  }
  if (first.kind !== second.kind) return named("twoEngines");
  if (first.kind === "attested") return named("doubleAttest");
  if (first.kind === "qc")
    return blameVotes(file, first.certificate, (second as QcProof).certificate);
  if (roundOf(first) === roundOf(second)) return named("doublePrecommit");
  return nobody("CometBFT's rounds differ: its messages do not tell who forgot its lock");
}

function roundOf(proof: FinalityProof): number | undefined {
  if (proof.kind !== "comet") return undefined;
  return Number(SIGNED_HEADER.decode(proof.signedHeader).commit?.round ?? 0);
}

/** Every certificate in the file must hold, needed or not: no byte of it is without meaning. */
function checkCertificates(
  { ledgerId, set, proofs, certificates }: ForkFile,
  options: FinalityOptions,
): undefined {
  const { engineEpoch, height } = proofs[0].header;
  for (const certificate of certificates) {
    const { kind, view } = certificate;
    if (kind === "finalize") refuse("a certificate that is neither notarization nor nullification");
    const subject = { kind, engineEpoch, height };
    const verdict = verifyCertificate(certificate, set, ledgerId, { ...options, subject });
    if (!verdict.ok) refuse(`${kind} certificate of view ${view}: ${verdict.reason}`);
    if (kind === "notarize" && certificate.parentView! >= view) {
      refuse(`notarize certificate of view ${view}: it names a later view`);
    }
  }
}

/** What no honest member signs both of. */
function contradiction(a: Certificate, b: Certificate): ForkOffence | undefined {
  if (a.view !== b.view) return undefined;
  if (a.kind !== b.kind) {
    const kinds = [a.kind, b.kind];
    const isBoth = kinds.includes("finalize") && kinds.includes("nullify");
    return isBoth ? "finalizeAndNullify" : undefined;
  }
  if (a.kind === "nullify") return undefined;
  if (equalBytes(a.blockHash!, b.blockHash!) && a.parentView === b.parentView) return undefined;
  return a.kind === "finalize" ? "doubleFinalize" : "doubleNotarize";
}

/** Members whose places stand in both lists of a pair, by id, with what they did. */
function sharedBy(
  set: ValidatorSet,
  pairs: readonly {
    readonly offence: ForkOffence;
    readonly one: readonly number[];
    readonly other: readonly number[];
  }[],
): ForkLiar[] {
  return set.members.flatMap((member, place) => {
    const offences = pairs
      .filter(({ one, other }) => one.includes(place) && other.includes(place))
      .map(({ offence }) => offence);
    return offences.length === 0 ? [] : [{ member, offences: [...new Set(offences)] }];
  });
}

/**
 * The built-in engine. Certificates that contradict each other share the liars. Two finalizations of
 * views v < w alone do not; then the later block's notarizations lead down by the views that they
 * name: to v itself, where two notarizations contradict each other, or below it, which needed a
 * nullification of v, against the finalization there. The first one that is missing is the question.
 */
function blameVotes(file: ForkFile, first: Certificate, second: Certificate): Finding {
  const { set } = file;
  const all = [first, second, ...file.certificates];
  const pairs = all.flatMap((a, i) =>
    all.slice(i + 1).flatMap((b) => {
      const offence = contradiction(a, b);
      if (offence === undefined) return [];
      return [{ offence, one: bitmapToIndices(a.signers), other: bitmapToIndices(b.signers) }];
    }),
  );
  const liars = sharedBy(set, pairs);
  if (liars.length > 0) return { liars };
  const ask = (signers: Bytes, question: Omit<ForkQuestion, "asked">): Finding => ({
    liars: [],
    question: {
      ...question,
      asked: bitmapToIndices(signers).map((place) => set.members[place]!),
    },
  });
  let claimed = second;
  for (let view = second.view; ; ) {
    const blockHash = second.blockHash!;
    const notarized = file.certificates.find(
      (c) => c.kind === "notarize" && c.view === view && equalBytes(c.blockHash!, blockHash),
    );
    if (notarized === undefined) return ask(claimed.signers, { kind: "notarize", view, blockHash });
    if (view === first.view) {
      return ask(first.signers, { kind: "notarize", view, blockHash: first.blockHash! });
    }
    const parent = notarized.parentView!;
    if (parent < first.view) return ask(notarized.signers, { kind: "nullify", view: first.view });
    claimed = notarized;
    view = parent;
  }
}
