import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Block,
  type Certificate,
  createValidatorSet,
  encodeBlock,
  encodeCertificate,
  evidenceRoot,
  type Hash,
  hashHeader,
  indicesToBitmap,
  sha256,
  transactionRoot,
  utf8,
  type ValidatorSet,
  ZERO_HASH,
} from "@hanse/protocol";
import { hashLastCert } from "../wire/bodies.ts";
import { decodeWindow, firstRun, type Trust } from "./windows.ts";

const ledgerId = sha256(utf8("ledger"));

function setOf(ids: readonly string[]): ValidatorSet {
  return createValidatorSet(
    ids.map((id) => ({
      id,
      org: id,
      key: { algorithm: "ed25519", bytes: sha256(utf8(id)) },
      vote: 1,
      propose: 1,
    })),
    "byzantine",
  );
}

const four = setOf(["a", "b", "c", "d"]);
const five = setOf(["a", "b", "c", "d", "e"]);

function certify(height: number, hash: Hash, set: ValidatorSet): Uint8Array {
  const size = set.members.length;
  const signers = [0, 1, 2, 3].slice(0, size);
  const certificate: Certificate = {
    kind: "finalize",
    engineEpoch: 0,
    height,
    view: 0,
    validatorsHash: set.hash,
    blockHash: hash,
    signers: indicesToBitmap(signers, size),
    signatures: signers.map(() => new Uint8Array(64)),
  };
  return encodeCertificate(certificate);
}

/** Blocks 1 to n; from `change` on under the set of five. */
function chain(n: number, change = Number.POSITIVE_INFINITY) {
  const blocks: Uint8Array[] = [];
  let parentHash: Hash = ledgerId;
  let lastCert: Uint8Array = new Uint8Array(0);
  for (let height = 1; height <= n; height++) {
    const set = height >= change ? five : four;
    const transactions = [utf8(`transaction ${height}`)];
    const block: Block = {
      header: {
        ledgerId,
        engineEpoch: 0,
        height,
        time: height,
        proposer: "a",
        parentHash,
        txRoot: transactionRoot(transactions),
        txCount: 1,
        lastCertHash: hashLastCert(lastCert),
        prevStateRoot: ZERO_HASH,
        prevResultsRoot: ZERO_HASH,
        validatorsHash: set.hash,
        nextValidatorsHash: (height + 1 >= change ? five : four).hash,
        paramsHash: ZERO_HASH,
        evidenceHash: evidenceRoot([]),
        lastSetChangeHeight: 1,
        policyExtra: new Uint8Array(0),
      },
      lastCert,
      evidence: [],
      transactions,
    };
    parentHash = hashHeader(block.header);
    lastCert = certify(height, parentHash, set);
    blocks.push(encodeBlock(block));
  }
  return { blocks, certificate: lastCert };
}

const trust: Trust = {
  height: 1,
  parentHash: ledgerId,
  set: four,
  quorum: 3,
  ledgerId,
  engineEpoch: 0,
};

describe("range of blocks", () => {
  it("needs the signatures of one certificate for a whole run", () => {
    const { blocks, certificate } = chain(10);
    const run = firstRun(decodeWindow(1, blocks)!, certificate, trust)!;
    assert.equal(run.blocks.length, 10);
    assert.equal(run.checks.length, 4);
    assert.equal(run.rest.length, 0);
    for (const [i, pair] of run.blocks.entries()) assert.equal(pair.certificate.height, i + 1);
  });

  it("ends a run where the set changes, certified by the block above", () => {
    const { blocks, certificate } = chain(8, 5);
    const bodies = decodeWindow(1, blocks)!;
    const run = firstRun(bodies, certificate, trust)!;
    assert.equal(run.blocks.length, 4);
    assert.equal(run.rest.length, 4);
    const next: Trust = {
      ...trust,
      height: 5,
      parentHash: bodies[3]!.hash,
      set: five,
      quorum: 4,
    };
    assert.equal(firstRun(run.rest, certificate, next)?.blocks.length, 4);
    assert.equal(firstRun(run.rest, certificate, { ...next, set: four }), undefined);
  });

  it("refuses gaps, foreign parents, bodies that are not their headers', and weak certificates", () => {
    const { blocks, certificate } = chain(4);
    assert.equal(decodeWindow(2, blocks), undefined);
    assert.equal(decodeWindow(1, [blocks[0]!, blocks[2]!]), undefined);
    assert.equal(decodeWindow(1, [utf8("rubbish")]), undefined);
    const text = Buffer.from(blocks[1]!);
    text[text.lastIndexOf("transaction 2") + 12] = 0x39;
    assert.equal(decodeWindow(1, [blocks[0]!, text]), undefined);
    const bodies = decodeWindow(1, blocks)!;
    assert.equal(firstRun(bodies, certificate, { ...trust, parentHash: ZERO_HASH }), undefined);
    assert.equal(firstRun(bodies, certificate, { ...trust, quorum: 5 }), undefined);
    assert.equal(firstRun(bodies, certificate, { ...trust, engineEpoch: 1 }), undefined);
    assert.equal(firstRun(bodies, new Uint8Array(0), trust), undefined);
    assert.equal(firstRun(bodies, certify(4, ZERO_HASH, four), trust), undefined);
    assert.equal(firstRun([], certificate, trust), undefined);
  });
});
