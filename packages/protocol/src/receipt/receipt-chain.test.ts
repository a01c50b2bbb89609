import assert from "node:assert/strict";
import { test } from "node:test";
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
  certify,
  createSampleLedger,
  createSampleReceipt,
  namedKeyPair,
  sampleHeaders,
  sampleStateRoot,
} from "../../scripts/sample-ledger.ts";
import { type BlockHeader, hashHeader } from "../block/header.ts";
import { createValidatorSet } from "../block/validator-set.ts";
import { utf8 } from "../encoding/bytes.ts";
import { type AttestedProof, attestationMessage } from "../finality/finality-proof.ts";
import { type Hash, sha256 } from "../hash/domain.ts";
import { signMessage } from "../keys/signatures.ts";
import { decodeReceipt, encodeReceipt } from "./receipt.ts";
import { verifyReceipt } from "./receipt-verdict.ts";

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
  const forged = { kind: "qc", header, certificate: certify(subject, set) } as const;
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
  assertRefused({ blocks: block({ kind: "notarize", parentView: -1 }) }, /a finalize certificate/);
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
    {
      blocks: blocks.with(five, {
        kind: "qc",
        header,
        certificate: { ...certificate, signatures },
      }),
    },
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

test("a height certified twice and a first block that does not follow the genesis are refused", () => {
  const { header } = receipt.blocks[0]!;
  const again = forge(2, { time: header.time + 1 });
  assertRefused(
    { blocks: [receipt.blocks[0]!, again, ...receipt.blocks.slice(1)] },
    /ascending order|lacks the set/,
  );
  const { blocks } = { blocks: sampleHeaders(ledger, [3, 4, 7, 8]) };
  const twice = forge(8, { time: blocks.at(-1)!.header.time + 1 });
  assertRefused({ blocks: [...blocks, twice] }, /ascending order/);
  const first = sampleHeaders(ledger, [1, 3, 4, 7]);
  assert.equal(judge({ blocks: first }).ok, true);
  const orphan = forge(1, { parentHash: sha256(utf8("elsewhere")) });
  assertRefused({ blocks: [orphan, ...first.slice(1)] }, /does not follow the ledger's genesis/);
});

function attest(
  header: BlockHeader,
  places: readonly number[],
  said: { readonly blockHash?: Hash; readonly engineEpoch?: number } = {},
): AttestedProof {
  const { ledgerId, height } = header;
  const { blockHash = hashHeader(header), engineEpoch = header.engineEpoch } = said;
  const stateRoot = sampleStateRoot(ledger.blocks[height - 1]!.state);
  const message = attestationMessage({ ledgerId, engineEpoch, height, blockHash, stateRoot });
  const attestations = places.map((place) => {
    const { id } = ledger.setAt(height).members[place]!;
    return { member: id, signature: signMessage(namedKeyPair(id), message) };
  });
  return { kind: "attested", header, stateRoot, attestations };
}

test("blocks of another engine: version 2, by a quorum of the set's own rule", () => {
  const { header } = receipt.blocks[2]!;
  const mixed = (proof: AttestedProof) => ({ blocks: receipt.blocks.with(2, proof as never) });
  const bytes = encodeReceipt({ ...receipt, ...mixed(attest(header, [0, 2, 3])) });
  assert.equal(bytes[8], 2);
  assert.equal(encodeReceipt(receipt)[8], 1);
  assert.deepEqual(encodeReceipt(decodeReceipt(bytes)), bytes);
  assert.equal(judge(mixed(attest(header, [0, 2, 3]))).ok, true);
  const blockHash = ledger.blocks[0]!.hash;
  assertRefused(mixed(attest(header, [0, 2, 3], { blockHash })), /signature of .* does not hold/);
  assertRefused(mixed(attest(header, [0, 2])), /weight 2 is below/);
  const swapped = bytes.slice();
  swapped[8] = 1;
  const verdict = verifyReceipt(swapped, { genesis: ledger.genesis });
  assert.match(verdict.reason ?? "", /canonical form/);
  swapped[8] = 3;
  assert.match(
    verifyReceipt(swapped, { genesis: ledger.genesis }).reason ?? "",
    /version 3; this program reads versions 1 and 2/,
  );
});

test("a switch of engines: the old one certified the set, the epoch counts in what is signed", () => {
  const { header } = forge(7, { engineEpoch: 1 });
  const switched = (proof: AttestedProof) => ({ blocks: receipt.blocks.with(3, proof as never) });
  const verdict = judge(switched(attest(header, [0, 1, 2])));
  assert.equal(verdict.ok, true, verdict.reason);
  // What members said in the old epoch is no word on the new one.
  assertRefused(
    switched(attest(header, [0, 1, 2], { engineEpoch: 0 })),
    /signature of .* does not hold/,
  );
  // A recovery begins with a set that nobody handed over to: no proof leads there.
  const recovered = { ...header, engineEpoch: 2, validatorsHash: ledger.sets[1]!.hash };
  assertRefused(switched(attest(recovered, [0, 1, 2])), /set that the receipt does not lead to/);
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
