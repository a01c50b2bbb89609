import assert from "node:assert/strict";
import { before, test } from "node:test";
import fc from "fast-check";
import {
  certify,
  createSampleLedger,
  createSampleReceipt,
  namedKeyPair,
  proveSampleFact,
  proveSampleTransaction,
  SAMPLE_DOCUMENT,
  type SampleLedger,
  sampleHeaders,
} from "../../scripts/sample-ledger.ts";
import { hashHeader } from "../block/header.ts";
import { createValidatorSet } from "../block/validator-set.ts";
import { concatBytes, equalBytes, toHex, utf8 } from "../encoding/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { sha256 } from "../hash/domain.ts";
import { readyKeyBackends } from "../keys/signatures.ts";
import { outcomeRoot } from "../outcome/outcome.ts";
import { type CertifiedHeader, decodeReceipt, encodeReceipt, type Receipt } from "./receipt.ts";
import { receiptToJson, receiptVerdictToJson } from "./receipt-json.ts";
import { type TrustedSet, trustedSetFromJson, trustedSetToJson } from "./receipt-trust.ts";
import { verifyReceipt } from "./receipt-verdict.ts";

let ledger: SampleLedger;
let receipt: Receipt;

before(async () => {
  await readyKeyBackends();
  ledger = createSampleLedger();
  receipt = createSampleReceipt(ledger);
});

function judge(changed: Partial<Receipt>) {
  return verifyReceipt(encodeReceipt({ ...receipt, ...changed }), { genesis: ledger.genesis });
}

function assertRefused(changed: Partial<Receipt>, reason: RegExp) {
  const verdict = judge(changed);
  assert.equal(verdict.ok, false);
  assert.match(verdict.reason ?? "", reason);
  assert.equal(verdict.facts, undefined);
  assert.deepEqual(
    verdict.checks.map((check) => check.ok),
    verdict.checks.map((_, i) => i < verdict.checks.length - 1),
  );
}

function trustAt(height: number): TrustedSet {
  const { hash, set } = ledger.blocks[height - 1]!;
  return { ledgerId: ledger.ledgerId, height, headerHash: hash, set };
}

/** The block of a height with its header changed and certified anew by the members given. */
function forge(
  height: number,
  change: Partial<CertifiedHeader["header"]>,
  members?: number[],
): CertifiedHeader {
  const { header: old, certificate, set } = ledger.blocks[height - 1]!;
  const header = { ...old, ...change };
  return {
    header,
    certificate: certify(
      {
        kind: "finalize",
        ledgerId: header.ledgerId,
        engineEpoch: header.engineEpoch,
        height: header.height,
        view: certificate.view,
        validatorsHash: set.hash,
        blockHash: hashHeader(header),
      },
      set,
      members,
    ),
  };
}

function withBlock(at: number, block: CertifiedHeader): readonly CertifiedHeader[] {
  return receipt.blocks.map((old, i) => (i === at ? block : old));
}

test("a receipt through two set changes holds, and says what it proves", () => {
  const bytes = encodeReceipt(receipt);
  assert.deepEqual(encodeReceipt(decodeReceipt(bytes)), bytes);
  const { ok, checks, facts } = verifyReceipt(bytes, { genesis: ledger.genesis });
  assert.equal(ok, true);
  assert.deepEqual(
    checks.map((check) => check.name),
    [
      "receipt file",
      "ledger",
      "block 2",
      "set change at 3",
      "block 3",
      "block 4",
      "set change at 5",
      "block 7",
      "trust",
      "transaction in block",
      "transaction signature",
      "outcome",
      "schema 1_deeds",
      "row 1_deeds[3]",
      "row 1_deeds[99]",
      "entry notes[6c617374]",
      "sequence 1_deeds",
      `document ${toHex(sha256(SAMPLE_DOCUMENT)).slice(0, 12)}…`,
    ],
  );
  assert.equal(facts?.network, "sample");
  assert.equal(facts?.transaction?.height, 3);
  assert.equal(facts?.transaction?.time, ledger.genesis.time + 3000);
  assert.equal(facts?.transaction?.outcome.code, "ok");
  assert.deepEqual(facts?.transaction?.sender, namedKeyPair("anna").publicKey);
  const [, row, absent, entry, sequence] = facts!.state;
  assert.deepEqual(row!.row?.values.slice(0, 2), [3n, "Deed 3"]);
  assert.equal(row!.row?.values[7], 1);
  assert.equal(row!.row?.values[8], null);
  assert.equal(row!.row?.height, 3);
  assert.equal(absent!.present, false);
  assert.deepEqual(entry!.entry?.value, utf8("height 6"));
  assert.deepEqual(entry!.entry?.version, { height: 6, index: 0 });
  assert.equal(sequence!.next, 7n);
});

test("a flip of one bit in any byte is refused with a reason", () => {
  const bytes = encodeReceipt(receipt);
  for (let at = 0; at < bytes.length; at++) {
    const flipped = bytes.slice();
    flipped[at]! ^= 1 << ((at * 5) % 8);
    const verdict = verifyReceipt(flipped, { genesis: ledger.genesis });
    assert.equal(verdict.ok, false, `byte ${at}`);
    assert.ok(verdict.reason!.length > 10, `byte ${at}: ${verdict.reason}`);
  }
});

test("a receipt cut short or lengthened is refused", () => {
  const bytes = encodeReceipt(receipt);
  for (let length = 0; length < bytes.length; length += 13) {
    assert.equal(verifyReceipt(bytes.subarray(0, length), { genesis: ledger.genesis }).ok, false);
  }
  const longer = Uint8Array.of(...bytes, 0);
  assert.match(
    verifyReceipt(longer, { genesis: ledger.genesis }).reason ?? "",
    /1 bytes after the value/,
  );
});

test("what is oversized or nested without end is refused unread", () => {
  const huge = new Uint8Array(16 * 1024 * 1024 + 1);
  assert.match(verifyReceipt(huge, { genesis: ledger.genesis }).reason ?? "", /at most/);
  const head = encodeReceipt(receipt).slice(0, 9);
  const nested = new Uint8Array(100_000).fill(0x81);
  nested.set(head);
  assert.match(verifyReceipt(nested, { genesis: ledger.genesis }).reason ?? "", /nesting/);
});

test("another ledger's receipt is refused, even with the same validators", () => {
  const other = createSampleLedger("other");
  const bytes = encodeReceipt(createSampleReceipt(other));
  assert.equal(verifyReceipt(bytes, { genesis: other.genesis }).ok, true);
  assert.match(verifyReceipt(bytes, { genesis: ledger.genesis }).reason!, /^ledger: .*not of the/);
  // Its headers under our ledger id: the id stands in every header and every vote.
  assertRefused({ blocks: createSampleReceipt(other).blocks }, /another ledger/);
});

test("a set change that the old set did not certify is refused", () => {
  const thieves = createValidatorSet(
    ["a", "b", "c", "d"].map((name) => ({
      id: `thief/${name}`,
      org: "thief",
      key: namedKeyPair(name).publicKey,
      vote: 1,
      propose: 1,
    })),
    "byzantine",
  );
  const sets = [ledger.sets[0]!, thieves, ledger.sets[2]!];
  assertRefused({ sets }, /^set change at 3: .* not the one/);
  const header = { ...receipt.blocks[0]!.header, nextValidatorsHash: thieves.hash };
  const { certificate } = receipt.blocks[0]!;
  assertRefused(
    { sets, blocks: withBlock(0, { header, certificate }) },
    /^block 2: certificate: it is about another block/,
  );
  assertRefused(
    {
      sets,
      blocks: withBlock(0, {
        header,
        certificate: { ...certificate, blockHash: hashHeader(header) },
      }),
    },
    /^block 2: certificate: the signature of .* does not hold/,
  );
});

test("members of a past set cannot go on after handing over", () => {
  // The first set signs a block 3 of its own, as if it had not handed over at 2.
  const { set } = ledger.blocks[0]!;
  const { header: old, certificate } = ledger.blocks[2]!;
  const header = {
    ...old,
    validatorsHash: set.hash,
    nextValidatorsHash: set.hash,
    lastSetChangeHeight: 1,
  };
  const subject = {
    kind: "finalize",
    ledgerId: ledger.ledgerId,
    engineEpoch: 0,
    height: 3,
    view: certificate.view,
    validatorsHash: set.hash,
    blockHash: hashHeader(header),
  } as const;
  const forged = { header, certificate: certify(subject, set) };
  assertRefused(
    { sets: [set], blocks: [receipt.blocks[0]!, forged, ...receipt.blocks.slice(2)] },
    /lacks the set that the block below hands over to/,
  );
  assertRefused({ blocks: withBlock(1, forged) }, /set that the receipt does not lead to/);
});

test("a change left out of the chain is noticed", () => {
  // The same members come back after an absence: their later headers name another beginning.
  const skipped = forge(7, {});
  assertRefused(
    { sets: [ledger.sets[0]!], blocks: [skipped] },
    /set that the receipt does not lead to/,
  );
  const { header, certificate } = forge(2, { lastSetChangeHeight: 2 });
  assertRefused({ blocks: withBlock(0, { header, certificate }) }, /began at 2, expected 1/);
});

test("too few signers, absent members, another kind, another epoch", () => {
  const { header, certificate } = receipt.blocks[1]!;
  const first = certificate.signatures[0]!;
  const block = (change: Partial<typeof certificate>) =>
    withBlock(1, { header, certificate: { ...certificate, ...change } });
  assertRefused(
    { blocks: block({ signers: Uint8Array.of(3), signatures: [first, first] }) },
    /weight 2 is below the quorum of 3/,
  );
  assertRefused(
    { blocks: block({ signers: Uint8Array.of(7), signatures: [first, first, first] }) },
    /signature of .* does not hold/,
  );
  assertRefused({ blocks: block({ signers: Uint8Array.of(0x17) }) }, /member that the set/);
  assertRefused({ blocks: block({ signers: Uint8Array.of(7, 0) }) }, /bitmap must have 1 bytes/);
  assertRefused({ blocks: block({ kind: "notarize", parentView: -1 }) }, /not finalize/);
  assertRefused({ blocks: block({ engineEpoch: 1 }) }, /engineEpoch is 1, expected 0/);
  assertRefused({ blocks: block({ height: 4 }) }, /height is 4, expected 3/);
  assertRefused({ blocks: block({ view: certificate.view + 1 }) }, /does not hold/);
  assertRefused({ blocks: block({ validatorsHash: ledger.sets[0]!.hash }) }, /another validator/);
});

test("every bit of every signature counts, also beyond the quorum", () => {
  // Block 5 is signed by all four: the fourth signature is not needed, and still must hold.
  const blocks = sampleHeaders(ledger, [3, 4, 5, 7]);
  assert.equal(judge({ blocks }).ok, true);
  const five = blocks.findIndex(({ header }) => header.height === 5);
  const { header, certificate } = blocks[five]!;
  const signatures = certificate.signatures.map((s, i) => (i === 3 ? new Uint8Array(64) : s));
  assertRefused(
    { blocks: blocks.with(five, { header, certificate: { ...certificate, signatures } }) },
    /signature of .* does not hold/,
  );
});

test("blocks out of order, twice, or without a link are refused", () => {
  const { blocks } = receipt;
  assertRefused({ blocks: [blocks[0]!, blocks[2]!, blocks[1]!, blocks[3]!] }, /./);
  assertRefused({ blocks: [blocks[0]!, blocks[0]!, ...blocks.slice(1)] }, /./);
  assertRefused(
    { blocks: withBlock(2, forge(4, { parentHash: sha256(utf8("elsewhere")) })) },
    /does not follow block 3/,
  );
  assertRefused({ blocks: withBlock(2, forge(4, { time: 5 })) }, /older than the block below/);
  assertRefused({ blocks: withBlock(0, forge(2, { engineEpoch: 1 })) }, /epoch goes backwards/);
});

test("missing blocks and left-over sets are refused", () => {
  assertRefused({ blocks: receipt.blocks.slice(0, 3) }, /lacks block 7/);
  assertRefused({ blocks: receipt.blocks.slice(0, 2) }, /holds a set that no block/);
  assertRefused({ blocks: receipt.blocks.toSpliced(1, 1) }, /lacks block 3/);
  assertRefused({ blocks: [] }, /holds no block/);
  assertRefused({ sets: [] }, /holds no validator set/);
  assertRefused(
    { sets: ledger.sets.slice(1) },
    /does not begin with the validators of the genesis/,
  );
});

test("another transaction, place, outcome or path is refused", () => {
  const { transaction: t } = receipt;
  const first = proveSampleTransaction(ledger, 3, 0);
  assertRefused({ transaction: { ...t!, index: 0 } }, /is not number 0 of block 3/);
  assertRefused({ transaction: { ...t!, index: 3 } }, /is not number 3/);
  assertRefused({ transaction: { ...t!, height: 7 } }, /is not number 2 of block 7/);
  assertRefused({ transaction: { ...t!, bytes: first.bytes } }, /is not number 2/);
  assertRefused(
    { transaction: { ...t!, outcome: { ...t!.outcome, result: "4" } } },
    /not the outcome that block 4 certifies/,
  );
  const failed = proveSampleTransaction(ledger, 3, 1);
  assertRefused({ transaction: { ...t!, outcome: failed.outcome } }, /not the outcome/);
  assertRefused(
    { transaction: { ...t!, views: [{ engine: "evm", hash: sha256(utf8("view")) }] } },
    /not the outcome/,
  );
});

test("a transaction that failed proves the failure and names no document", () => {
  const transaction = proveSampleTransaction(ledger, 3, 1);
  const alone = { transaction, facts: [], documents: [], blocks: sampleHeaders(ledger, [3, 4]) };
  const sets = ledger.sets.slice(0, 2);
  const verdict = judge({ ...alone, sets });
  assert.equal(verdict.ok, true, verdict.reason);
  assert.equal(verdict.facts?.transaction?.outcome.code, "CONTRACT_ERROR");
  assertRefused({ ...alone, sets, documents: receipt.documents }, /nothing .* names it/);
});

test("a false value, a false absence, a missing schema are refused", () => {
  const [schema, row, absent] = receipt.facts;
  const other = proveSampleFact(ledger, 6, { kind: "row", table: "1_deeds", key: 4n });
  const facts = (...list: typeof receipt.facts) => ({ facts: list, documents: [] });
  assertRefused(
    facts(schema!, { ...row!, value: other.value! }),
    /does not lead to the state root/,
  );
  assertRefused(facts(schema!, { ...row!, value: undefined }), /does not lead|absent/);
  assertRefused(facts(schema!, { ...absent!, value: row!.value }), /does not lead|path/);
  assertRefused(facts(row!), /lacks the schema of table 1_deeds/);
  assertRefused(facts({ ...schema!, height: 3 }), /./);
  const proof = { ...row!, otherLeaf: undefined, value: undefined, siblings: row!.siblings };
  assertRefused(facts(schema!, proof), /does not lead to the state root/);
  const old = proveSampleFact(ledger, 3, { kind: "schema", table: "1_deeds" });
  const three = proveSampleFact(ledger, 3, { kind: "row", table: "1_deeds", key: 3n });
  assert.equal(judge(facts(old, three)).ok, true);
  // A schema of another height does not read the row of this one.
  assertRefused(facts(old, row!), /lacks the schema/);
});

test("a document that nothing names is refused", () => {
  assertRefused({ documents: [sha256(utf8("another"))] }, /nothing that the receipt proves names/);
});

test("a receipt that states nothing is refused", () => {
  const { transaction: _, ...rest } = receipt;
  const empty = encodeReceipt({ ...rest, facts: [], documents: [] });
  assert.match(verifyReceipt(empty, { genesis: ledger.genesis }).reason!, /states nothing/);
});

test("a trusted set anywhere on the way is enough, and what is older is not believed", () => {
  const bytes = encodeReceipt(receipt);
  for (const height of [1, 2]) assert.equal(verifyReceipt(bytes, trustAt(height)).ok, true);
  // Block 3 was certified by the set trusted at 3 and 4, before it handed over.
  for (const height of [3, 4]) assert.equal(verifyReceipt(bytes, trustAt(height)).ok, true);
  assert.match(verifyReceipt(bytes, trustAt(6)).reason!, /block 3 is older than what is trusted/);
  const { transaction: _, ...rest } = receipt;
  const late = encodeReceipt({ ...rest, sets: [ledger.sets[2]!], blocks: receipt.blocks.slice(3) });
  for (const height of [5, 6, 7, 8]) {
    const verdict = verifyReceipt(late, trustAt(height));
    assert.equal(verdict.ok, true, verdict.reason);
  }
  assert.match(verifyReceipt(late, trustAt(4)).reason!, /does not lead through the set trusted/);
  assert.match(
    verifyReceipt(late, { genesis: ledger.genesis }).reason!,
    /does not begin with the validators of the genesis/,
  );
});

test("a trusted block that the receipt contradicts is refused", () => {
  const bytes = encodeReceipt(receipt);
  const headerHash = sha256(utf8("another block"));
  assert.match(
    verifyReceipt(bytes, { ...trustAt(3), headerHash }).reason!,
    /is not the trusted one/,
  );
  assert.match(
    verifyReceipt(bytes, { ...trustAt(1), headerHash }).reason!,
    /block 2 does not follow the trusted block/,
  );
  assert.match(
    verifyReceipt(bytes, { ...trustAt(3), set: ledger.sets[0]! }).reason!,
    /does not lead through/,
  );
  assert.match(
    verifyReceipt(bytes, { ...trustAt(3), ledgerId: headerHash }).reason!,
    /not of the trusted one/,
  );
});

test("a trusted set's JSON form, and its refusals by field", () => {
  const trust = trustAt(3);
  const json = JSON.parse(JSON.stringify(trustedSetToJson(trust)));
  const again = trustedSetFromJson(json);
  assert.ok(equalBytes(again.set.hash, trust.set.hash));
  assert.deepEqual(again, trust);
  assert.throws(() => trustedSetFromJson({ ...json, heigth: 3 }), /trust.heigth.* height/);
  assert.throws(() => trustedSetFromJson({ ...json, height: -1 }), /trust.height/);
  assert.throws(() => trustedSetFromJson({ ...json, headerHash: "00" }), /trust.headerHash/);
  assert.throws(() => trustedSetFromJson({ ...json, version: 2 }), /trust.version/);
  assert.throws(() => trustedSetFromJson([]), /trust: expected an object/);
});

test("JSON views keep every integer and byte", () => {
  const verdict = verifyReceipt(encodeReceipt(receipt), { genesis: ledger.genesis });
  const json = JSON.parse(JSON.stringify(receiptVerdictToJson(verdict)));
  assert.equal(json.ok, true);
  assert.equal(json.facts.transaction.id, toHex(verdict.facts!.transaction!.id!));
  assert.equal(json.facts.transaction.outcome.fuelUsed, "1234");
  assert.deepEqual(json.facts.state[1].values.id, "3");
  assert.equal(json.facts.state[1].values.digest, toHex(sha256(SAMPLE_DOCUMENT)));
  assert.equal(json.facts.state[2].present, false);
  const whole = JSON.parse(JSON.stringify(receiptToJson(receipt)));
  assert.equal(whole.blocks.length, receipt.blocks.length);
  assert.equal(whole.transaction.bytes, toHex(receipt.transaction!.bytes));
  const refused = receiptVerdictToJson(
    verifyReceipt(new Uint8Array(), { genesis: ledger.genesis }),
  );
  assert.equal(refused.ok, false);
  assert.equal(typeof refused.reason, "string");
});

test("foreign views of the block are part of what the outcome is proven against", () => {
  const views = [{ engine: "evm", hash: sha256(utf8("a foreign block")) }];
  const { outcomes } = ledger.blocks[2]!;
  const blocks = withBlock(2, forge(4, { prevResultsRoot: outcomeRoot(outcomes, views) }));
  const transaction = { ...receipt.transaction!, views };
  assert.equal(judge({ blocks, transaction }).ok, true);
  assertRefused({ blocks }, /not the outcome/);
  assertRefused(
    { blocks, transaction: { ...transaction, views: [...views, ...views] } },
    /outcome/,
  );
});

test("whatever stands in a receipt's places, the verdict is a refusal and never an exception", () => {
  const body = decodeCbor(encodeReceipt(receipt).subarray(9)) as readonly CborValue[];
  const junk: fc.Arbitrary<CborValue> = fc.oneof(
    fc.constantFrom<CborValue>(null, true, 0, -1, 2n ** 64n - 1n, "", "row", [], new Map()),
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.array(fc.oneof(fc.nat(), fc.uint8Array({ maxLength: 4 })), { maxLength: 6 }),
  );
  /** The value with one place of it, found by the path, replaced. */
  const replaced = (value: CborValue, path: readonly number[], by: CborValue): CborValue => {
    const [step, ...rest] = path;
    if (step === undefined || !Array.isArray(value) || value.length === 0) return by;
    const at = step % value.length;
    return value.map((item, i) => (i === at ? replaced(item, rest, by) : item));
  };
  let refused = 0;
  fc.assert(
    fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 6 }), junk, (path, by) => {
      const changed = encodeCbor(replaced(body, path, by));
      if (equalBytes(changed, encodeCbor(body))) return;
      const file = concatBytes(encodeReceipt(receipt).subarray(0, 9), changed);
      const verdict = verifyReceipt(file, { genesis: ledger.genesis });
      // Emptying a list of statements leaves a smaller receipt that may well hold.
      if (verdict.ok) assert.ok(equalBytes(encodeReceipt(decodeReceipt(file)), file));
      else refused++;
    }),
    { numRuns: 400 },
  );
  assert.ok(refused > 300, `${refused} refused`);
});
