/** Goal: who stands behind a key, at every moment. Method: a real overlay over memory state. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  accountIdOf,
  createKeyPair,
  DEFAULT_LEDGER_PARAMS,
  type GenesisDocument,
  type PublicKey,
  readyKeyBackends,
  sha256,
  utf8,
} from "@hanse/protocol";
import { createMemoryState, createOverlay, type StateOverlay } from "@hanse/state";
import { keyIdOf } from "../accounts/key-id.ts";
import {
  addOrganization,
  registerAccount,
  replaceAccountKey,
  seedIdentity,
  setAccountRoles,
  setAccountStatus,
  setOrganizationStatus,
} from "./registry.ts";
import { resolveSender } from "./resolve-sender.ts";
import { ACCOUNTS, findAccountByKeyId, listAccounts, listNodes } from "./tables.ts";

await readyKeyBackends();
const keyOf = (name: string): PublicKey => createKeyPair("ed25519", sha256(utf8(name))).publicKey;

function genesis(): GenesisDocument {
  return {
    version: 1,
    network: "n",
    ledger: "main",
    time: 0,
    organizations: [
      { id: "a", name: "A" },
      { id: "b", name: "B" },
    ],
    nodes: [{ id: "a/node", org: "a", key: keyOf("node"), tlsFingerprint: new Uint8Array(32) }],
    accounts: [
      { name: "root", org: "a", key: keyOf("root"), roles: ["network-admin", "admin"] },
      { name: "bea", org: "b", key: keyOf("bea"), roles: ["admin"] },
      { name: "bob", org: "b", key: keyOf("bob"), roles: [] },
    ],
    validators: { quorum: "byzantine", members: [{ id: "a/node", vote: 1, propose: 1 }] },
    ordering: "builtin",
    policy: "fixed",
    engines: ["native"],
    params: DEFAULT_LEDGER_PARAMS,
  };
}

function seeded(): StateOverlay {
  const overlay = createOverlay(createMemoryState(), 0);
  overlay.begin(0);
  seedIdentity(overlay, genesis());
  return overlay;
}

test("genesis accounts and nodes are there with their numbers and roles", () => {
  const overlay = seeded();
  const root = resolveSender(overlay, keyOf("root"));
  assert.deepEqual(
    [root.name, root.org, root.roles, root.keyId],
    ["root", "a", ["admin", "network-admin"], keyIdOf(keyOf("root"))],
  );
  assert.deepEqual(root.accountId, accountIdOf(keyOf("root")));
  assert.equal(findAccountByKeyId(overlay, root.keyId)?.name, "root");
  assert.deepEqual(
    listNodes(overlay, 10).map((node) => node.id),
    ["a/node"],
  );
  assert.deepEqual(
    listAccounts(overlay, { org: "b", limit: 10 }).map((a) => a.name),
    ["bea", "bob"],
  );
});

test("unknown, suspended and orphaned signers are told apart", () => {
  const overlay = seeded();
  assert.throws(() => resolveSender(overlay, keyOf("nobody")), {
    code: "IDENTITY_UNKNOWN_SIGNER",
    kind: "denied",
    message: /ask an administrator of your organization to register/,
  });
  setAccountStatus(overlay, accountIdOf(keyOf("bob")), "suspended");
  assert.throws(() => resolveSender(overlay, keyOf("bob")), {
    code: "IDENTITY_SUSPENDED",
    message: /account bob of b is suspended/,
  });
  setAccountStatus(overlay, accountIdOf(keyOf("bob")), "active");
  assert.equal(resolveSender(overlay, keyOf("bob")).name, "bob");
  setOrganizationStatus(overlay, "b", "suspended");
  assert.throws(() => resolveSender(overlay, keyOf("bob")), {
    code: "IDENTITY_SUSPENDED",
    message: /organization b is suspended/,
  });
  assert.throws(() => resolveSender(overlay, { algorithm: "p256", bytes: new Uint8Array(33) }), {
    code: "IDENTITY_UNKNOWN_SIGNER",
  });
});

test("a replaced key never signs again, the account stays the same", () => {
  const overlay = seeded();
  const id = accountIdOf(keyOf("bob"));
  const before = resolveSender(overlay, keyOf("bob"));
  replaceAccountKey(overlay, id, keyOf("bob 2"));
  const after = resolveSender(overlay, keyOf("bob 2"));
  assert.deepEqual([after.accountId, after.keyId], [before.accountId, before.keyId]);
  replaceAccountKey(overlay, id, keyOf("bob 3"));
  assert.equal(resolveSender(overlay, keyOf("bob 3")).name, "bob");
  for (const old of ["bob", "bob 2"]) {
    assert.throws(() => resolveSender(overlay, keyOf(old)), { code: "IDENTITY_UNKNOWN_SIGNER" });
    assert.throws(() => replaceAccountKey(overlay, id, keyOf(old)), { code: "IDENTITY_KEY_USED" });
    const again = { org: "a", name: "x", key: keyOf(old), roles: [] };
    assert.throws(() => registerAccount(overlay, again), { code: "IDENTITY_KEY_USED" });
  }
});

test("registration refuses what would not be one account", () => {
  const overlay = seeded();
  const account = { org: "b", name: "new", key: keyOf("new"), roles: [] as string[] };
  const cases = [
    ["IDENTITY_NAME_USED", { ...account, name: "bob" }],
    ["IDENTITY_KEY_USED", { ...account, key: keyOf("bob") }],
    ["IDENTITY_NO_ORGANIZATION", { ...account, org: "c" }],
    ["IDENTITY_INVALID", { ...account, name: " padded" }],
    ["IDENTITY_INVALID", { ...account, name: "" }],
    ["IDENTITY_INVALID", { ...account, roles: ["Not A Role"] }],
    [
      "IDENTITY_INVALID",
      { ...account, key: { algorithm: "p256", bytes: keyOf("new").bytes } as const },
    ],
    [
      "IDENTITY_KEY",
      { ...account, key: { algorithm: "p256", bytes: new Uint8Array(33) } as const },
    ],
  ] as const;
  for (const [code, bad] of cases) assert.throws(() => registerAccount(overlay, bad), { code });
  // Another key with the same number: nobody has found one, so the row is made by hand.
  const keyId = keyIdOf(keyOf("new"));
  const other = new Uint8Array(32).fill(9);
  overlay.insert(ACCOUNTS, [
    other,
    keyId,
    "a",
    "clash",
    "ed25519",
    other,
    "[]",
    "active",
    false,
    false,
  ]);
  assert.throws(() => registerAccount(overlay, account), { code: "IDENTITY_KEY_ID_USED" });
  assert.throws(() => addOrganization(overlay, { id: "b", name: "B" }), {
    code: "IDENTITY_ORGANIZATION_USED",
  });
  assert.throws(() => addOrganization(overlay, { id: "Bad Id", name: "B" }), {
    code: "IDENTITY_INVALID",
  });
});

test("the last administrator can neither be suspended nor lose the role", () => {
  const overlay = seeded();
  const bea = accountIdOf(keyOf("bea"));
  const bob = accountIdOf(keyOf("bob"));
  const root = accountIdOf(keyOf("root"));
  assert.throws(() => setAccountStatus(overlay, bea, "suspended"), { code: "IDENTITY_LAST_ADMIN" });
  assert.throws(() => setAccountRoles(overlay, bea, []), { code: "IDENTITY_LAST_ADMIN" });
  assert.throws(() => setAccountRoles(overlay, root, ["admin"]), { code: "IDENTITY_LAST_ADMIN" });
  setAccountRoles(overlay, bob, ["admin"]);
  setAccountStatus(overlay, bea, "suspended");
  assert.throws(() => setAccountRoles(overlay, bob, []), { code: "IDENTITY_LAST_ADMIN" });
  assert.throws(() => setAccountStatus(overlay, bea, "suspended"), { code: "IDENTITY_STATUS" });
});
