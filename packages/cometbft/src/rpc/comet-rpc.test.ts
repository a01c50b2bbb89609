/** Goal: what CometBFT's RPC says becomes the proof that it is; what it should not say is named. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test from "node:test";
import {
  createCometProof,
  createValidatorSet,
  decodeHeader,
  encodeFinalityProof,
  fromHex,
  readyKeyBackends,
  toHex,
} from "@hanse/protocol";
import { createCometRpc, parseSignedHeader, parseTime } from "./comet-rpc.ts";

await readyKeyBackends();
const file = "../../../protocol/test/vectors/comet/recorded-commit.json";
const recorded = JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8"));

test("a recorded commit becomes the recorded proof", () => {
  const members = recorded.members.map((member: { key: string }) => ({
    ...member,
    key: { algorithm: "ed25519", bytes: fromHex(member.key) },
  }));
  const block = {
    header: decodeHeader(fromHex(recorded.header)),
    transactions: recorded.transactions.map(fromHex),
  };
  const proof = createCometProof(
    block,
    parseSignedHeader(recorded.commit),
    createValidatorSet(members, "byzantine"),
  );
  assert.equal(toHex(encodeFinalityProof(proof)), recorded.proof);
});

test("times have up to nine digits and need not be after 1970", () => {
  assert.deepEqual(parseTime("2026-11-20T15:32:38.02243Z", "t"), {
    seconds: 1_795_188_758,
    nanos: 22_430_000,
  });
  assert.deepEqual(parseTime("2026-11-20T15:32:38Z", "t"), { seconds: 1_795_188_758, nanos: 0 });
  assert.equal(parseTime("0001-01-01T00:00:00Z", "t").seconds, -62_135_596_800);
  for (const wrong of ["", "2026-11-20", "2026-11-20T15:32:38+01:00", 7]) {
    assert.throws(() => parseTime(wrong, "header.time"), {
      code: "COMET_RPC",
      message: /header\.time/,
    });
  }
});

test("a field that is missing or of another kind is named", () => {
  const { header, commit } = recorded.commit;
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /signed_header/],
    [{ header }, /commit/],
    [{ header: { ...header, height: "x" }, commit }, /header\.height/],
    [{ header: { ...header, app_hash: "0g" }, commit }, /header\.app_hash/],
    [{ header, commit: { ...commit, signatures: {} } }, /commit\.signatures/],
    [{ header, commit: { ...commit, signatures: [{ block_id_flag: 2 }] } }, /signatures\[0\]/],
  ];
  for (const [value, message] of cases) {
    assert.throws(() => parseSignedHeader(value), { code: "COMET_RPC", message });
  }
});

test("an RPC that is down or refuses is unavailable, not a failure of ours", async () => {
  const server = createServer((request, response) => {
    request.resume();
    response.end(JSON.stringify({ jsonrpc: "2.0", id: 1, error: { message: "no such height" } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const rpc = createCometRpc(`http://127.0.0.1:${port}`);
  try {
    await assert.rejects(rpc.signedHeader(9), { code: "COMET_RPC_REFUSED", kind: "unavailable" });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  await assert.rejects(rpc.status(), { code: "COMET_RPC_DOWN", kind: "unavailable" });
});
