/** Goal: what a node hands over leads a light client, and not further than the node is honest. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { toHex, utf8 } from "@hanse/protocol";
import { createLightClient } from "@hanse/verifier";
import { signNative, startTestNode, type TestNode } from "../testing/test-node.ts";

let node: TestNode;
before(async () => {
  node = await startTestNode();
});
after(() => node.stop());

async function get(path: string) {
  const response = await fetch(`${node.url}${path}`);
  return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()) };
}

test("from the genesis to the newest block, by one header", async () => {
  assert.equal((await get("/v1/light")).status, 503, "no block is proven yet");
  const ada = node.people.find((person) => person.name === "ada")!.pair;
  const put = ["notes", "put", { key: "k", value: utf8("v") }] as const;
  const { bytes } = signNative(ada, node.ledgerId, put);
  const submitted = await fetch(`${node.url}/v1/transactions?wait=final`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: bytes as Uint8Array<ArrayBuffer>,
  });
  assert.equal(submitted.status, 200, await submitted.text());
  const client = createLightClient({
    trust: { genesis: node.genesis },
    now: () => Date.now(),
    fetch: async ({ from, changes }) =>
      (await get(`/v1/light?from=${from}&changes=${changes ? 1 : 0}`)).bytes,
  });
  const { trust, steps } = await client.sync();
  assert.ok(trust.height > 0);
  assert.deepEqual(steps, [{ height: trust.height, step: "sameSet" }]);
  const shown = JSON.parse(Buffer.from((await get(`/v1/blocks/${trust.height}`)).bytes).toString());
  assert.equal(shown.hash, toHex(trust.headerHash));
  assert.equal((await get("/v1/light?changes=2")).status, 400);
});
