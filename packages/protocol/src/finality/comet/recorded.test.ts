/**
 * Goal: our reading of CometBFT's encodings is CometBFT's. Method: a block that four real validators
 * (CometBFT 0.38.25) decided, recorded from its RPC with our block beside it.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { decodeHeader } from "../../block/header.ts";
import { createValidatorSet } from "../../block/validator-set.ts";
import { fromHex, toHex } from "../../encoding/bytes.ts";
import { readyKeyBackends } from "../../keys/signatures.ts";
import { merkleRoot } from "../../merkle/transaction-tree.ts";
import { decodeFinalityProof } from "../finality-proof.ts";
import { verifyFinality } from "../finality-verdict.ts";
import {
  cometDataLeaves,
  cometMembers,
  cometValidatorsHash,
  hashCometHeader,
  SIGNED_HEADER,
} from "./signed-header.ts";

await readyKeyBackends();
const file = new URL("../../../test/vectors/comet/recorded-commit.json", import.meta.url);
const recorded = JSON.parse(readFileSync(file, "utf8"));
const ledgerId = fromHex(recorded.ledgerId);
const header = decodeHeader(fromHex(recorded.header));
const set = createValidatorSet(
  recorded.members.map((member: { key: string; id: string; org: string; vote: number }) => ({
    ...member,
    key: { algorithm: "ed25519", bytes: fromHex(member.key) },
  })),
  "byzantine",
);
const proof = decodeFinalityProof(fromHex(recorded.proof), header);

test("the recorded proof holds", () => {
  assert.deepEqual(verifyFinality(proof, { ledgerId, set }).ok, true);
});

test("hashes are CometBFT's own", () => {
  assert.ok(proof.kind === "comet");
  const { header: comet } = SIGNED_HEADER.decode(proof.signedHeader);
  const upper = (bytes: Uint8Array) => toHex(bytes).toUpperCase();
  assert.ok(comet !== undefined);
  const { header: fields, commit } = recorded.commit;
  assert.equal(upper(hashCometHeader(comet)), commit.block_id.hash);
  assert.equal(upper(cometValidatorsHash(cometMembers(set))), fields.validators_hash);
  const transactions = [recorded.header, ...recorded.transactions].map(fromHex);
  assert.equal(upper(merkleRoot(cometDataLeaves(transactions))), fields.data_hash);
});
