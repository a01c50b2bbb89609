import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  assertRefused,
  forge,
  judge,
  ledger,
  receipt,
  trustAt,
  withBlock,
} from "../../scripts/receipt-trials.ts";
import {
  namedKeyPair,
  proveSampleFact,
  proveSampleTransaction,
  SAMPLE_DOCUMENT,
  sampleHeaders,
} from "../../scripts/sample-ledger.ts";
import { transactionRoot } from "../block/block.ts";
import { hashHeader } from "../block/header.ts";
import { concatBytes, equalBytes, toHex, utf8 } from "../encoding/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { sha256 } from "../hash/domain.ts";
import { signMessage } from "../keys/signatures.ts";
import { stateKeyHash, stateValueHash } from "../merkle/state-proof.ts";
import { outcomeRoot } from "../outcome/outcome.ts";
import {
  encodeNativeBody,
  encodeNativeTransaction,
  nativeSignedMessage,
} from "../transaction/native.ts";
import { decodeReceipt, encodeReceipt } from "./receipt.ts";
import { receiptToJson, receiptVerdictToJson } from "./receipt-json.ts";
import { trustedSetFromJson, trustedSetToJson } from "./receipt-trust.ts";
import { verifyReceipt } from "./receipt-verdict.ts";

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

test("a quorum cannot record a transaction that its sender did not sign for this ledger", () => {
  const anna = namedKeyPair("anna");
  const body = (ledgerId: Uint8Array) =>
    encodeNativeBody({
      ledgerId,
      sender: anna.publicKey,
      nonce: 1n,
      validUntil: ledger.genesis.time + 60_000,
      engine: "needle",
      payload: new Uint8Array(),
    });
  const record = (bytes: Uint8Array) => {
    const outcome = receipt.transaction!.outcome;
    const three = forge(3, { txRoot: transactionRoot([bytes]), txCount: 1 });
    const four = forge(4, {
      parentHash: hashHeader(three.header),
      prevResultsRoot: outcomeRoot([outcome]),
    });
    return {
      blocks: [receipt.blocks[0]!, three, four],
      sets: ledger.sets,
      facts: [],
      documents: [],
      transaction: { ...receipt.transaction!, bytes, index: 0, path: [], outcomePath: [] },
    };
  };
  const own = body(ledger.ledgerId);
  const signed = encodeNativeTransaction(own, signMessage(anna, nativeSignedMessage(own)));
  assert.equal(judge(record(signed)).ok, true);
  const bert = namedKeyPair("somebody else");
  const forged = encodeNativeTransaction(own, signMessage(bert, nativeSignedMessage(own)));
  assertRefused(record(forged), /the sender's signature does not hold/);
  const foreign = body(sha256(utf8("another ledger")));
  const elsewhere = encodeNativeTransaction(
    foreign,
    signMessage(anna, nativeSignedMessage(foreign)),
  );
  assertRefused(record(elsewhere), /made for another ledger/);
  // A form that this program does not read is proven as bytes.
  const unread = judge(record(Uint8Array.of(9, 1, 2)));
  assert.equal(unread.ok, true);
  assert.equal(unread.facts?.transaction?.form, 9);
  assert.equal(unread.facts?.transaction?.id, undefined);
});

test("members of a set in another order are another file of the same receipt, and refused", () => {
  const whole = encodeReceipt(receipt);
  const body = [...(decodeCbor(whole.subarray(9)) as CborValue[])];
  const [quorum, members] = (body[1] as CborValue[][])[0]!;
  body[1] = [
    [quorum!, (members as CborValue[]).toReversed()],
    ...(body[1] as CborValue[]).slice(1),
  ];
  const file = concatBytes(whole.subarray(0, 9), encodeCbor(body));
  assert.equal(file.length, whole.length);
  assert.match(verifyReceipt(file, { genesis: ledger.genesis }).reason!, /canonical form/);
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
  const ownLeaf = { keyHash: stateKeyHash(row!.key), valueHash: stateValueHash(row!.value!) };
  assertRefused(
    facts(schema!, { ...row!, value: undefined, otherLeaf: ownLeaf }),
    /shows the key present, the receipt calls it absent/,
  );
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
