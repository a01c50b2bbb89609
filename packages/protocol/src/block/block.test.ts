import assert from "node:assert/strict";
import { before, test } from "node:test";
import fc from "fast-check";
import { certify, createSampleLedger, type SampleLedger } from "../../scripts/sample-ledger.ts";
import { equalBytes, toHex } from "../encoding/bytes.ts";
import { decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { createKeyPair, readyKeyBackends, signMessage } from "../keys/signatures.ts";
import { decodeBlock, encodeBlock } from "./block.ts";
import {
  bitmapToIndices,
  type Certificate,
  decodeCertificate,
  encodeCertificate,
  indicesToBitmap,
  type VoteSubject,
  voteMessage,
} from "./certificate.ts";
import {
  assembleCertificate,
  verifyCertificate,
  verifyCertificateWith,
} from "./certificate-verdict.ts";
import { type BlockHeader, decodeHeader, encodeHeader, hashHeader } from "./header.ts";
import {
  createValidatorSet,
  quorumWeight,
  totalWeight,
  type ValidatorInfo,
  validatorSetFromCbor,
  validatorSetToCbor,
} from "./validator-set.ts";

await readyKeyBackends();
let ledger: SampleLedger;
before(() => {
  ledger = createSampleLedger();
});

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const number = fc.maxSafeNat();
const header: fc.Arbitrary<BlockHeader> = fc.record(
  {
    ledgerId: hash,
    engineEpoch: number,
    height: number,
    time: number,
    proposer: fc.string(),
    parentHash: hash,
    txRoot: hash,
    txCount: number,
    lastCertHash: hash,
    prevStateRoot: hash,
    prevResultsRoot: hash,
    validatorsHash: hash,
    nextValidatorsHash: hash,
    paramsHash: hash,
    evidenceHash: hash,
    lastSetChangeHeight: number,
    policyExtra: fc.uint8Array({ maxLength: 64 }),
  },
  { noNullPrototype: true },
);
const certificate: fc.Arbitrary<Certificate> = fc
  .record({
    engineEpoch: number,
    height: number,
    view: number,
    validatorsHash: hash,
    signers: fc.uint8Array({ maxLength: 8 }),
    signatures: fc.array(fc.uint8Array({ minLength: 64, maxLength: 64 }), { maxLength: 4 }),
  })
  .chain((common) =>
    fc.oneof(
      fc.constant({ ...common, kind: "nullify" as const }),
      hash.map((blockHash) => ({ ...common, kind: "finalize" as const, blockHash })),
      fc.tuple(hash, fc.integer({ min: -1 })).map(([blockHash, parentView]) => ({
        ...common,
        kind: "notarize" as const,
        blockHash,
        parentView,
      })),
    ),
  );

test("headers, certificates and blocks come back from their one encoding", () => {
  fc.assert(
    fc.property(header, certificate, (h, c) => {
      assert.deepEqual(decodeHeader(encodeHeader(h)), h);
      assert.deepEqual(decodeCertificate(encodeCertificate(c)), c);
      const block = {
        header: h,
        lastCert: encodeCertificate(c),
        evidence: [Uint8Array.of(1)],
        transactions: [Uint8Array.of(), Uint8Array.of(1, 2)],
      };
      assert.deepEqual(decodeBlock(encodeBlock(block)), block);
    }),
  );
});

test("a changed byte of a header is another header or none", () => {
  fc.assert(
    fc.property(header, fc.nat(), fc.integer({ min: 1, max: 255 }), (h, pick, mask) => {
      const bytes = encodeHeader(h);
      bytes[pick % bytes.length]! ^= mask;
      let other: BlockHeader;
      try {
        other = decodeHeader(bytes);
      } catch (thrown) {
        assert.equal((thrown as Error).name, "HanseError");
        return;
      }
      assert.ok(equalBytes(encodeHeader(other), bytes));
      assert.ok(!equalBytes(hashHeader(other), hashHeader(h)));
    }),
    { numRuns: 300 },
  );
});

test("headers: refusals name the field", () => {
  const good = ledger.blocks[0]!.header;
  const bytes = encodeHeader(good);
  assert.throws(() => decodeHeader(bytes.subarray(1)), { code: "HEADER_VERSION" });
  const withItem = (at: number, item: unknown) => {
    const items = [...(decodeCbor(bytes.subarray(1)) as unknown[])];
    items[at] = item;
    return Uint8Array.of(0, ...encodeCbor(items as never));
  };
  assert.throws(() => decodeHeader(withItem(0, 2)), { code: "HEADER_VERSION" });
  assert.throws(() => decodeHeader(withItem(3, -1)), /header.height/);
  assert.throws(() => decodeHeader(withItem(7, good.txRoot.subarray(1))), /header.txRoot/);
  assert.throws(() => decodeHeader(withItem(17, new Uint8Array(65))), /policyExtra/);
});

test("certificates: fields that are not of the kind are refused", () => {
  const good = ledger.blocks[0]!.certificate;
  const withItem = (at: number, item: unknown) => {
    const items = [...(decodeCbor(encodeCertificate(good)) as unknown[])];
    items[at] = item;
    return encodeCbor(items as never);
  };
  assert.throws(() => decodeCertificate(withItem(0, "propose")), { code: "CERTIFICATE_INVALID" });
  assert.throws(() => decodeCertificate(withItem(0, "nullify")), { code: "CERTIFICATE_INVALID" });
  assert.throws(() => decodeCertificate(withItem(5, null)), { code: "CERTIFICATE_INVALID" });
  assert.throws(() => decodeCertificate(withItem(6, 0)), { code: "CERTIFICATE_INVALID" });
  assert.throws(() => decodeCertificate(withItem(8, [new Uint8Array(63)])), /signatures\[0\]/);
  assert.throws(() => decodeCertificate(withItem(7, new Uint8Array(129))), /signers/);
});

test("bitmaps", () => {
  const members = fc.uniqueArray(fc.nat(40)).map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(members, (indices) => {
      const bitmap = indicesToBitmap(indices, 41);
      assert.equal(bitmap.length, 6);
      assert.deepEqual(bitmapToIndices(bitmap), indices);
    }),
  );
});

const pairs = Array.from({ length: 7 }, (_, i) =>
  createKeyPair("ed25519", new Uint8Array(32).fill(i + 1)),
);

function weighted(weights: readonly number[], quorum: "byzantine" | "crash" = "byzantine") {
  return createValidatorSet(
    weights.map(
      (vote, i): ValidatorInfo => ({
        id: `org/${i}`,
        org: "org",
        key: pairs[i]!.publicKey,
        vote,
        propose: 1,
      }),
    ),
    quorum,
  );
}

test("two quorums always share more than a third, or more than nothing under crash faults", () => {
  const weights = fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 7 });
  fc.assert(
    fc.property(weights, (list) => {
      const total = list.reduce((sum, weight) => sum + weight, 0);
      const byzantine = weighted(list);
      assert.equal(totalWeight(byzantine), total);
      const shared = 2 * quorumWeight(byzantine) - total;
      assert.ok(3 * shared > total, `${shared} of ${total}`);
      assert.ok(quorumWeight(byzantine) <= total);
      const crash = weighted(list, "crash");
      assert.ok(2 * quorumWeight(crash) - total > 0);
      assert.ok(quorumWeight(crash) <= total);
    }),
  );
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].map((n) => quorumWeight(weighted(new Array(n).fill(1)))),
    [1, 2, 3, 3, 4, 5, 5],
  );
});

test("certificates hold exactly when the signers' weight is a quorum", async () => {
  const signers = fc.subarray([0, 1, 2, 3, 4]);
  const weights = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 5, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(weights, signers, async (list, members) => {
      const set = weighted(list);
      const subject: VoteSubject = {
        kind: "notarize",
        ledgerId: new Uint8Array(32).fill(1),
        engineEpoch: 2,
        height: 3,
        view: 4,
        validatorsHash: set.hash,
        blockHash: new Uint8Array(32).fill(5),
        parentView: -1,
      };
      const message = voteMessage(subject);
      const votes = members.map((member) => ({
        member,
        signature: signMessage(pairs[member]!, message),
      }));
      const weight = members.reduce((sum, member) => sum + list[member]!, 0);
      if (weight < quorumWeight(set)) {
        assert.throws(() => assembleCertificate(subject, set, votes), /below the quorum/);
        return;
      }
      const made = assembleCertificate(subject, set, [...votes.reverse(), ...votes]);
      const verdict = verifyCertificate(made, set, subject.ledgerId, { subject });
      assert.deepEqual(verdict, { ok: true, weight });
      const pooled = await verifyCertificateWith(
        (checks) => Promise.resolve(checks.map(() => true)),
        made,
        set,
        subject.ledgerId,
        { subject },
      );
      assert.deepEqual(pooled, { ok: true, weight });
    }),
    { numRuns: 40 },
  );
});

test("certificates: what differs from the subject, the set or the ledger is refused", async () => {
  const { header: h, certificate: c, set } = ledger.blocks[4]!;
  const reasonOf = (
    changed: Certificate,
    subject: Partial<VoteSubject> = { height: 5 },
    ledgerId = ledger.ledgerId,
  ) => {
    const verdict = verifyCertificate(changed, set, ledgerId, { subject });
    return verdict.ok ? "" : verdict.reason;
  };
  assert.equal(reasonOf(c), "");
  assert.match(reasonOf(c, { kind: "notarize" }), /a finalize certificate, not notarize/);
  assert.match(reasonOf(c, { height: 6 }), /height is 5, expected 6/);
  assert.match(reasonOf(c, { view: c.view + 1 }), /view is/);
  assert.match(reasonOf(c, { engineEpoch: 1 }), /engineEpoch/);
  assert.match(reasonOf(c, { blockHash: h.parentHash }), /another block/);
  assert.match(reasonOf(c, {}, new Uint8Array(32)), /signature of .* does not hold/);
  assert.match(reasonOf(c, {}, new Uint8Array(31)), /32 bytes/);
  assert.match(reasonOf({ ...c, signatures: c.signatures.slice(1) }), /4 signers but 3/);
  const { blockHash: _, ...blockless } = c;
  assert.match(reasonOf(blockless), /lacks its block/);
  assert.match(reasonOf({ ...c, parentView: 1 }), /names a parent view/);
  const swapped = [c.signatures[1]!, c.signatures[0]!, ...c.signatures.slice(2)];
  assert.match(reasonOf({ ...c, signatures: swapped }), /does not hold/);
  const elsewhere = verifyCertificate(c, ledger.sets[0]!, ledger.ledgerId);
  assert.match(elsewhere.ok ? "" : elsewhere.reason, /another validator set/);
  const pooled = await verifyCertificateWith(
    (checks) => Promise.resolve(checks.map((_, i) => i !== 1)),
    c,
    set,
    ledger.ledgerId,
  );
  assert.match(pooled.ok ? "" : pooled.reason, new RegExp(set.members[1]!.id));
  assert.throws(
    () => certify({ ...c, ledgerId: ledger.ledgerId }, ledger.sets[0]!),
    /votes are of another set/,
  );
});

test("validator sets: order does not matter, and come back from their encoding", () => {
  const set = ledger.sets[0]!;
  const shuffled = createValidatorSet([...set.members].reverse(), set.quorum);
  assert.equal(toHex(shuffled.hash), toHex(set.hash));
  const again = validatorSetFromCbor(decodeCbor(encodeCbor(validatorSetToCbor(set))), "set");
  assert.deepEqual(again, set);
});

test("validator sets: refusals", () => {
  const [first, second] = ledger.sets[0]!.members;
  const bad: readonly (readonly ValidatorInfo[])[] = [
    [],
    [first!, { ...second!, id: first!.id }],
    [first!, { ...second!, key: first!.key }],
    [{ ...first!, vote: 0 }],
    [{ ...first!, vote: 1.5 }],
    [{ ...first!, vote: 1_000_001 }],
    [{ ...first!, propose: -1 }],
    [{ ...first!, propose: 0 }],
  ];
  for (const members of bad) {
    assert.throws(() => createValidatorSet(members, "byzantine"), {
      code: "VALIDATOR_SET_INVALID",
    });
  }
});
