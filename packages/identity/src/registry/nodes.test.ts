/** Goal: later nodes come in under a name, keys and an address of their own. Method: a real overlay. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyPair, type PublicKey, readyKeyBackends, sha256, utf8 } from "@hanse/protocol";
import { createMemoryState, createOverlay } from "@hanse/state";
import { registerNode, replaceNodeKey } from "./nodes.ts";
import { addOrganization } from "./registry.ts";
import { createIdentityTables, findNode, listNodes } from "./tables.ts";

await readyKeyBackends();
const keyOf = (name: string): PublicKey => createKeyPair("ed25519", sha256(utf8(name))).publicKey;
const node = (name: string, over: object = {}) => ({
  id: `court/${name}`,
  org: "court",
  key: keyOf(name),
  tlsFingerprint: sha256(utf8(`tls of ${name}`)),
  ...over,
});

function open() {
  const overlay = createOverlay(createMemoryState(), 0);
  overlay.begin(0);
  createIdentityTables(overlay);
  addOrganization(overlay, { id: "court", name: "The court" });
  return overlay;
}

test("a node comes in with its address, and each breach is named", () => {
  const overlay = open();
  registerNode(overlay, node("node-1"));
  registerNode(overlay, node("node-2", { address: "[::1]:7401" }));
  assert.deepEqual(
    listNodes(overlay, 10).map(({ id, status, address }) => [id, status, address]),
    [
      ["court/node-1", "active", undefined],
      ["court/node-2", "active", "[::1]:7401"],
    ],
  );
  const cases: readonly (readonly [object, string, RegExp])[] = [
    [{ org: "nobody", id: "nobody/n" }, "IDENTITY_NO_ORGANIZATION", /nobody/],
    [{ id: "harbour/node-3" }, "IDENTITY_INVALID", /id: expected court\//],
    [{ id: "court/Node" }, "IDENTITY_INVALID", /id: /],
    [{ id: "court/node-1" }, "IDENTITY_NODE_USED", /court\/node-1/],
    [{ key: keyOf("node-1") }, "IDENTITY_KEY_USED", /key: /],
    [{ key: { algorithm: "p256", bytes: new Uint8Array(33) } }, "IDENTITY_INVALID", /ed25519/],
    [{ tlsFingerprint: sha256(utf8("tls of node-2")) }, "IDENTITY_KEY_USED", /tlsFingerprint: /],
    [{ tlsFingerprint: new Uint8Array(31) }, "IDENTITY_INVALID", /tlsFingerprint: .*32 bytes/],
    [{ address: "no port" }, "IDENTITY_INVALID", /address: expected host:port/],
    [{ address: `${"h".repeat(260)}:1` }, "IDENTITY_INVALID", /address: /],
  ];
  for (const [over, code, message] of cases) {
    assert.throws(() => registerNode(overlay, node("node-3", over)), { code, message });
  }
  assert.equal(listNodes(overlay, 10).length, 2);
});

test("a node's consensus key is replaced by a fresh one", () => {
  const overlay = open();
  registerNode(overlay, node("node-1"));
  registerNode(overlay, node("node-2"));
  replaceNodeKey(overlay, "court/node-1", keyOf("fresh"));
  assert.deepEqual(findNode(overlay, "court/node-1")?.key, keyOf("fresh"));
  const used = () => replaceNodeKey(overlay, "court/node-1", keyOf("node-2"));
  assert.throws(used, { code: "IDENTITY_KEY_USED" });
  const absent = () => replaceNodeKey(overlay, "court/none", keyOf("other"));
  assert.throws(absent, { code: "IDENTITY_NO_NODE" });
});
