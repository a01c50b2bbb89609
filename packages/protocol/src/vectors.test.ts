import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { createVectors } from "../scripts/vectors.ts";
import {
  decodeCbor,
  decodeGenesis,
  decodeLightPage,
  encodeCbor,
  followLightBlock,
  fromHex,
  genesisFromJson,
  type LightState,
  ledgerIdOf,
  readyKeyBackends,
  toHex,
  trustedSetFromJson,
  trustedSetToJson,
  verifyForkFile,
  verifyReceipt,
  verifySignature,
  verifyStateProof,
} from "./index.ts";

await readyKeyBackends();
const folder = new URL("../vectors/", import.meta.url);
const load = (name: string) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));

test("the vector files are what this code computes", async () => {
  const vectors = await createVectors();
  assert.deepEqual(readdirSync(folder).sort(), [...vectors.keys()].sort());
  for (const [name, text] of vectors) {
    assert.ok(
      readFileSync(new URL(name, folder), "utf8") === text,
      `${name} differs. Is a changed encoding meant? Then run packages/protocol/scripts/make-vectors.ts and say so in CHANGELOG.md and in spec/.`,
    );
  }
});

test("vectors: CBOR", () => {
  const { encoded, refused } = load("cbor.json");
  for (const { hex } of encoded) assert.equal(toHex(encodeCbor(decodeCbor(fromHex(hex)))), hex);
  for (const { hex, code, why } of refused) {
    assert.throws(() => decodeCbor(fromHex(hex)), { code }, why);
  }
});

test("vectors: keys and signatures", () => {
  for (const { algorithm, publicKey, message, signature } of load("keys.json")) {
    const key = { algorithm, bytes: fromHex(publicKey) };
    assert.ok(verifySignature(key, fromHex(message), fromHex(signature)), algorithm);
  }
});

test("vectors: state proofs", () => {
  const { tree } = load("state-tree.json");
  for (const kind of ["membership", "absence"] as const) {
    for (const { keyHash, leaf, siblings } of tree[kind]) {
      const proof = {
        keyHash: fromHex(keyHash),
        leaf: leaf && { keyHash: fromHex(leaf.keyHash), valueHash: fromHex(leaf.valueHash) },
        siblings: siblings.map(fromHex),
      };
      const verdict = verifyStateProof(
        { ...proof, leaf: proof.leaf ?? undefined },
        fromHex(tree.root),
      );
      assert.equal(verdict.kind, kind);
    }
  }
});

test("vectors: genesis and receipt", () => {
  const { document, encoded, ledgerId } = load("genesis.json");
  assert.deepEqual(decodeGenesis(fromHex(encoded)), genesisFromJson(document));
  assert.equal(toHex(ledgerIdOf(genesisFromJson(document))), ledgerId);
  const vector = load("receipt.json");
  const genesis = genesisFromJson(vector.genesis);
  const bytes = fromHex(vector.receipt);
  assert.equal(verifyReceipt(bytes, { genesis }).ok, true);
  assert.equal(verifyReceipt(fromHex(vector.receiptOfTwoEngines), { genesis }).ok, true);
  for (const { holds, trust } of vector.trustedSets) {
    assert.equal(verifyReceipt(bytes, trustedSetFromJson(trust)).ok, holds);
  }
  const otherGenesis = genesisFromJson(vector.otherGenesis);
  assert.equal(verifyReceipt(bytes, { genesis: otherGenesis }).ok, false);
  for (const { why, hex } of vector.refused) {
    assert.equal(verifyReceipt(fromHex(hex), { genesis }).ok, false, why);
  }
});

test("vectors: light pages and forks", () => {
  const light = load("light.json");
  const page = decodeLightPage(fromHex(light.page));
  let state: LightState = { trust: trustedSetFromJson(light.trust) };
  const steps = [...page.changes, page.newest].map((block) => {
    const verdict = followLightBlock(state, block);
    assert.ok(verdict.ok, verdict.ok ? "" : verdict.reason);
    state = verdict.state;
    return verdict.step;
  });
  assert.deepEqual(steps, light.steps);
  assert.deepEqual(trustedSetToJson(state.trust), light.leadsTo);
  const { trust, forks } = load("forks.json");
  for (const { file, liars, asked } of forks) {
    const { ok, facts } = verifyForkFile(fromHex(file), trustedSetFromJson(trust));
    assert.equal(ok, true);
    assert.deepEqual(
      facts?.liars.map(({ member, offences }) => ({ member: member.id, offences })),
      liars,
    );
    assert.equal(facts?.question?.view, asked?.view);
  }
});
