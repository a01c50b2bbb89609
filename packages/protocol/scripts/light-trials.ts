/** Small ledgers of headers alone, with any history of validator sets: for tests of followers. */

import { indicesToBitmap } from "../src/block/certificate.ts";
import {
  BLOCK_ID,
  type BlockHeader,
  type Certificate,
  COMET_FLAGS,
  COMMIT,
  type CometProof,
  cometChainId,
  cometDataLeaves,
  cometMembers,
  cometValidatorsHash,
  createCometProof,
  createValidatorSet,
  encodeHeader,
  equalBytes,
  evidenceRoot,
  type Hash,
  HEADER,
  hashCometHeader,
  hashHeader,
  type LightBlock,
  merkleRoot,
  precommitMessage,
  type QcProof,
  sha256,
  signMessage,
  type TrustedSet,
  transactionRoot,
  utf8,
  type ValidatorSet,
  type VoteSubject,
  voteMessage,
  ZERO_HASH,
} from "../src/index.ts";
import { namedKeyPair } from "./sample-ledger.ts";

/** A set of named members, each of one vote unless said otherwise. */
export function trialSet(
  names: readonly string[],
  quorum: ValidatorSet["quorum"] = "byzantine",
  votes: readonly number[] = [],
): ValidatorSet {
  return createValidatorSet(
    names.map((name, i) => ({
      id: name,
      org: name,
      key: namedKeyPair(name).publicKey,
      vote: votes[i] ?? 1,
      propose: 1,
    })),
    quorum,
  );
}

/** A certificate by members of a set, by all unless named; no quorum is asked of it. */
export function trialCertificate(
  subject: VoteSubject,
  set: ValidatorSet,
  signers: readonly number[] = [...set.members.keys()],
): Certificate {
  const { ledgerId: _, ...fields } = subject;
  const message = voteMessage(subject);
  return {
    ...fields,
    signers: indicesToBitmap(signers, set.members.length),
    signatures: [...signers]
      .sort((a, b) => a - b)
      .map((place) => signMessage(namedKeyPair(set.members[place]!.id), message)),
  };
}

/** A finality proof of a header in a view. */
export function trialProof(
  header: BlockHeader,
  set: ValidatorSet,
  { view = 0, signers }: { readonly view?: number; readonly signers?: readonly number[] } = {},
): QcProof {
  const { ledgerId, engineEpoch, height, validatorsHash } = header;
  const subject = {
    kind: "finalize",
    ledgerId,
    engineEpoch,
    height,
    view,
    validatorsHash,
  } as const;
  const vote = { ...subject, blockHash: hashHeader(header) };
  return { kind: "qc", header, certificate: trialCertificate(vote, set, signers) };
}

/** What CometBFT's members sign for a header without transactions. */
export function trialCometProof(
  header: BlockHeader,
  set: ValidatorSet,
  { round = 0, mute = [] }: { readonly round?: number; readonly mute?: readonly number[] } = {},
): CometProof {
  const members = cometMembers(set);
  const comet = HEADER.create({
    version: { block: 11, app: 0 },
    chainId: cometChainId(header.ledgerId, header.engineEpoch),
    height: header.height,
    time: { seconds: 1_760_000_000, nanos: 5 },
    dataHash: merkleRoot(cometDataLeaves([encodeHeader(header)])),
    validatorsHash: cometValidatorsHash(members),
  });
  const hash = hashCometHeader(comet);
  const blockId = BLOCK_ID.create({ hash, partSetHeader: { total: 1, hash: ZERO_HASH } });
  const commit = COMMIT.create({ height: header.height, round, blockId });
  const signatures = members.map(({ address, id, place }, i) => {
    const timestamp = { seconds: 1_760_000_000 + i, nanos: i };
    const message = precommitMessage(commit, timestamp, comet.chainId);
    const flag = mute.includes(place) ? COMET_FLAGS.nil : COMET_FLAGS.commit;
    const signature = signMessage(namedKeyPair(id), message);
    return { flag, validatorAddress: address, timestamp, signature };
  });
  const signed = { header: comet, commit: { ...commit, signatures } };
  return createCometProof({ header, transactions: [] }, signed, set);
}

export interface TrialLedger {
  readonly ledgerId: Hash;
  /** blocks[0] is height 1. */
  readonly blocks: readonly LightBlock[];
  /** Trust in a block; height 0 = the genesis. */
  readonly trustAt: (height: number) => TrustedSet;
}

/** `sets[i]` certifies height i + 1; the last one also every height above. */
export function createTrialLedger(
  sets: readonly ValidatorSet[],
  name = "trial",
  signersAt: (height: number, set: ValidatorSet) => readonly number[] | undefined = () => undefined,
): TrialLedger {
  const ledgerId = sha256(utf8(`ledger ${name}`));
  const blocks: LightBlock[] = [];
  let parentHash = ledgerId;
  let began = 1;
  for (const [i, set] of sets.entries()) {
    const height = i + 1;
    if (i > 0 && !equalBytes(sets[i - 1]!.hash, set.hash)) began = height;
    const header: BlockHeader = {
      ledgerId,
      engineEpoch: 0,
      height,
      time: height * 1000,
      proposer: set.members[0]!.id,
      parentHash,
      txRoot: transactionRoot([]),
      txCount: 0,
      lastCertHash: ZERO_HASH,
      prevStateRoot: ZERO_HASH,
      prevResultsRoot: ZERO_HASH,
      validatorsHash: set.hash,
      nextValidatorsHash: (sets[i + 1] ?? set).hash,
      paramsHash: ZERO_HASH,
      evidenceHash: evidenceRoot([]),
      lastSetChangeHeight: began,
      policyExtra: new Uint8Array(),
    };
    parentHash = hashHeader(header);
    const signers = signersAt(height, set);
    blocks.push({
      proof: trialProof(header, set, signers === undefined ? {} : { signers }),
      set,
    });
  }
  const trustAt = (height: number): TrustedSet => {
    if (height === 0) return { ledgerId, height, headerHash: ledgerId, time: 0, set: sets[0]! };
    const { proof, set } = blocks[height - 1]!;
    const { header } = proof;
    return { ledgerId, height, headerHash: hashHeader(header), time: header.time, set };
  };
  return { ledgerId, blocks, trustAt };
}
