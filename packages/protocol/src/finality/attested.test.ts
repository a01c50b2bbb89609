/** Goal: an attested proof holds only by the true word of more than half of the vote weight. */
import assert from "node:assert/strict";
import test, { before } from "node:test";
import fc from "fast-check";
import { type BlockHeader, hashHeader } from "../block/header.ts";
import { createValidatorSet } from "../block/validator-set.ts";
import { utf8 } from "../encoding/bytes.ts";
import { sha256, ZERO_HASH } from "../hash/domain.ts";
import { createKeyPair, readyKeyBackends, signMessage } from "../index.ts";
import { attestedWeightMin, sortAttestations, verifyAttestedProof } from "./attested.ts";
import { type AttestedProof, attestationMessage } from "./finality-proof.ts";

before(readyKeyBackends);

const ledgerId = sha256(utf8("a ledger"));
const stateRoot = sha256(utf8("a state"));

function rig(weights: readonly number[]) {
  const pairs = new Map(
    weights.map((_, i) => [`org-${i}/node-1`, createKeyPair("ed25519", sha256(utf8(`key ${i}`)))]),
  );
  const set = createValidatorSet(
    [...pairs].map(([id, pair], i) => ({
      id,
      org: `org-${i}`,
      key: pair.publicKey,
      vote: weights[i]!,
      propose: 1,
    })),
    "byzantine",
  );
  const header: BlockHeader = {
    ledgerId,
    engineEpoch: 2,
    height: 9,
    time: 1_700_000_000_000,
    proposer: "org-0/node-1",
    parentHash: ZERO_HASH,
    txRoot: ZERO_HASH,
    txCount: 0,
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
  const attest = (member: string, root = stateRoot, height = 9, engineEpoch = 2) => ({
    member,
    signature: signMessage(
      pairs.get(member)!,
      attestationMessage({
        ledgerId,
        engineEpoch,
        height,
        blockHash: hashHeader(header),
        stateRoot: root,
      }),
    ),
  });
  const proofOf = (members: readonly string[]): AttestedProof => ({
    kind: "attested",
    header,
    stateRoot,
    attestations: sortAttestations(members.map((member) => attest(member))),
  });
  return { set, header, attest, proofOf, ids: [...pairs.keys()] };
}

test("it holds exactly when more than half of the weight attests", () => {
  const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(weights, fc.nat(63), (drawn, mask) => {
      const { set, proofOf, ids } = rig(drawn);
      const who = ids.filter((_, i) => (mask >> i) & 1);
      const weight = drawn.reduce((sum, w, i) => sum + ((mask >> i) & 1 ? w : 0), 0);
      const total = drawn.reduce((sum, w) => sum + w, 0);
      const verdict = verifyAttestedProof(proofOf(who), ledgerId, set);
      assert.equal(verdict.ok, 2 * weight > total);
      if (verdict.ok) assert.equal(verdict.weight, weight);
      assert.equal(attestedWeightMin(set), Math.floor(total / 2) + 1);
    }),
    { numRuns: 40 },
  );
});

test("members are counted once, strangers never, and every signature must hold", () => {
  const { set, proofOf, attest, ids } = rig([1, 1, 1]);
  const whole = proofOf(ids.slice(0, 2));
  assert.deepEqual(verifyAttestedProof(whole, ledgerId, set), { ok: true, weight: 2 });
  const refused = (proof: AttestedProof, reason: RegExp, id = ledgerId) => {
    const verdict = verifyAttestedProof(proof, id, set);
    assert.ok(!verdict.ok);
    assert.match(verdict.reason, reason);
  };
  const first = whole.attestations[0]!;
  refused({ ...whole, attestations: [first, first] }, /twice/);
  refused({ ...whole, attestations: [...whole.attestations].reverse() }, /out of order/);
  const stranger = { ...whole.attestations[1]!, member: "zebra/node-1" };
  refused({ ...whole, attestations: [first, stranger] }, /zebra\/node-1 is not in/);
  refused({ ...whole, stateRoot: ZERO_HASH }, /signature of org-0\/node-1/);
  refused({ ...whole, attestations: [first] }, /weight 1 is below 2/);
  refused(whole, /another ledger/, ZERO_HASH);
  for (const foreign of [
    attest(ids[1]!, ZERO_HASH),
    attest(ids[1]!, stateRoot, 8),
    attest(ids[1]!, stateRoot, 9, 1),
    { ...attest(ids[1]!), signature: new Uint8Array(63) },
  ]) {
    refused({ ...whole, attestations: [first, foreign] }, /signature of org-1\/node-1/);
  }
  const later = { ...whole.header, time: whole.header.time + 1 };
  refused({ ...whole, header: later }, /signature/);
  refused({ ...whole, header: { ...later, validatorsHash: ZERO_HASH } }, /another validator set/);
});
