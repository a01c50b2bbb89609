/** Goal: a proof holds exactly for its block, its set and its ledger, and no byte of it is idle. */
import assert from "node:assert/strict";
import test, { before } from "node:test";
import fc from "fast-check";
import type { BlockHeader } from "../../block/header.ts";
import { encodeHeader } from "../../block/header.ts";
import { createValidatorSet, type ValidatorSet } from "../../block/validator-set.ts";
import { utf8 } from "../../encoding/bytes.ts";
import { type Hash, sha256, ZERO_HASH } from "../../hash/domain.ts";
import {
  createKeyPair,
  type KeyPair,
  readyKeyBackends,
  signMessage,
} from "../../keys/signatures.ts";
import { merkleRoot } from "../../merkle/transaction-tree.ts";
import type { CometProof } from "../finality-proof.ts";
import { verifyFinality } from "../finality-verdict.ts";
import { createCometProof, verifyCometProof } from "./comet-verdict.ts";
import {
  BLOCK_ID,
  COMET_FLAGS,
  COMMIT,
  cometChainId,
  cometDataLeaves,
  cometMembers,
  cometValidatorsHash,
  HEADER,
  hashCometHeader,
  precommitMessage,
  SIGNED_HEADER,
} from "./signed-header.ts";

const ledgerId: Hash = sha256(utf8("a ledger"));
const transactions = ["one", "two", "three"].map(utf8);
const keys: KeyPair[] = [];
let set: ValidatorSet;

before(async () => {
  await readyKeyBackends();
  for (let i = 0; i < 4; i++) keys.push(createKeyPair("ed25519", sha256(utf8(`key ${i}`))));
  set = setOf(keys);
});

function setOf(pairs: readonly KeyPair[]): ValidatorSet {
  const members = pairs.map(({ publicKey }, i) => ({
    id: `org-${i}/node`,
    org: `org-${i}`,
    key: publicKey,
    vote: 3 + (i % 2),
    propose: 1,
  }));
  return createValidatorSet(members, "byzantine");
}

function headerAt(height: number): BlockHeader {
  return {
    ledgerId,
    engineEpoch: 2,
    height,
    time: 1_760_000_000_000,
    proposer: "org-0/node",
    parentHash: ZERO_HASH,
    txRoot: ZERO_HASH,
    txCount: transactions.length,
    lastCertHash: ZERO_HASH,
    prevStateRoot: ZERO_HASH,
    prevResultsRoot: ZERO_HASH,
    validatorsHash: set.hash,
    nextValidatorsHash: set.hash,
    paramsHash: ZERO_HASH,
    evidenceHash: ZERO_HASH,
    lastSetChangeHeight: 1,
    policyExtra: new Uint8Array(0),
  };
}

/** What CometBFT would have signed; `mute` members voted for nothing. */
function signed(block: BlockHeader, mute: readonly number[] = []) {
  const members = cometMembers(set);
  const header = HEADER.create({
    version: { block: 11, app: 0 },
    chainId: cometChainId(ledgerId, block.engineEpoch),
    height: block.height,
    time: { seconds: 1_760_000_000, nanos: 5 },
    dataHash: merkleRoot(cometDataLeaves([encodeHeader(block), ...transactions])),
    validatorsHash: cometValidatorsHash(members),
  });
  const blockId = BLOCK_ID.create({
    hash: hashCometHeader(header),
    partSetHeader: { total: 1, hash: ZERO_HASH },
  });
  const commit = COMMIT.create({ height: block.height, round: 1, blockId });
  const signatures = members.map(({ address, place }, i) => {
    const timestamp = { seconds: 1_760_000_000 + i, nanos: i };
    const message = precommitMessage(commit, timestamp, header.chainId);
    const flag = mute.includes(place) ? COMET_FLAGS.nil : COMET_FLAGS.commit;
    const signature = signMessage(keys[place]!, message);
    return { flag, validatorAddress: address, timestamp, signature };
  });
  return { header, commit: { ...commit, signatures } };
}

function proofOf(block: BlockHeader, mute?: readonly number[]): CometProof {
  return createCometProof({ header: block, transactions }, signed(block, mute), set);
}

test("a block signed by all, by a quorum, by too few", () => {
  const block = headerAt(9);
  const trust = { ledgerId, set };
  assert.deepEqual(verifyFinality(proofOf(block), trust), {
    ok: true,
    weight: 14,
    signers: [0, 1, 2, 3],
  });
  assert.deepEqual(verifyFinality(proofOf(block, [2]), trust), {
    ok: true,
    weight: 11,
    signers: [0, 1, 3],
  });
  const few = verifyFinality(proofOf(block, [1, 3]), trust);
  assert.ok(!few.ok && /weight 6 is below the quorum of 10/.test(few.reason));
});

test("another block, height, ledger, epoch or set is refused by name", () => {
  const block = headerAt(9);
  const proof = proofOf(block);
  const reasonOf = (other: CometProof, trust = { ledgerId, set }) => {
    const verdict = verifyCometProof(other, trust);
    return verdict.ok ? "it holds" : verdict.reason;
  };
  assert.match(reasonOf({ ...proof, header: { ...block, time: 1 } }), /does not name this block/);
  assert.match(reasonOf({ ...proof, header: { ...block, height: 8 } }), /of height 9, not 8/);
  assert.match(reasonOf({ ...proof, header: { ...block, engineEpoch: 3 } }), /another chain/);
  assert.match(reasonOf(proof, { ledgerId: ZERO_HASH, set }), /another chain/);
  assert.match(reasonOf(proof, { ledgerId, set: setOf(keys.slice(1)) }), /another set/);
  assert.match(reasonOf({ ...proof, path: proof.path.slice(1) }), /does not name this block/);
  const large = new Uint8Array(300_000);
  assert.match(reasonOf({ ...proof, signedHeader: large }), /too large/);
});

test("a signature moved to another member does not count, and a bad one is left out", () => {
  const block = headerAt(9);
  const right = signed(block);
  const [first, second, ...rest] = right.commit.signatures;
  const swapped = { ...right.commit, signatures: [second!, first!, ...rest] };
  const proof = createCometProof(
    { header: block, transactions },
    { ...right, commit: swapped },
    set,
  );
  assert.ok(verifyCometProof(proof, { ledgerId, set }).ok);
  const verdict = verifyFinality(proof, { ledgerId, set });
  assert.ok(!verdict.ok && /below the quorum/.test(verdict.reason));
  const whole = SIGNED_HEADER.encode({ header: right.header, commit: swapped });
  const strict = verifyCometProof({ ...proof, signedHeader: whole }, { ledgerId, set });
  assert.ok(!strict.ok && /does not hold/.test(strict.reason));
});

test("property: no byte of the signed header is without meaning", () => {
  const proof = proofOf(headerAt(9), [1]);
  const { length } = proof.signedHeader;
  fc.assert(
    fc.property(fc.nat(length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const signedHeader = proof.signedHeader.slice();
      signedHeader[at]! ^= flip;
      assert.equal(verifyCometProof({ ...proof, signedHeader }, { ledgerId, set }).ok, false);
    }),
    { numRuns: 400 },
  );
});
