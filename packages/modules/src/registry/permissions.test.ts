/**
 * Goal: nobody does in the registry what the rules do not allow. Method: random calls by random
 * people on a real ledger, held against an obvious model of organizations and accounts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { listAccounts, listOrganizations } from "@hanse/identity";
import { accountIdOf, HanseError, type KeyPair, publicKeyToCbor } from "@hanse/protocol";
import fc from "fast-check";
import {
  createRigGenesis,
  createRigNode,
  keyOf,
  runBlock,
  signPayload,
} from "../../../ledger/src/testing/ledger-rig.ts";
import { encodeNativeCall } from "../engine/native-engine.ts";

interface ModelAccount {
  readonly name: string;
  readonly org: string;
  /** Names of the key in use and of the one that names the account. */
  key: string;
  readonly first: string;
  roles: string[];
  active: boolean;
}

interface Model {
  readonly orgs: Map<string, boolean>;
  readonly accounts: ModelAccount[];
  readonly usedKeys: Set<string>;
}

const ORGS = ["a", "b", "c"];
const KEYS = Array.from({ length: 14 }, (_, i) => `key${i}`);
const pairs = new Map<string, KeyPair>();
const pairOf = (name: string) => {
  const pair = pairs.get(name) ?? keyOf(name);
  pairs.set(name, pair);
  return pair;
};

// Administrators stand first in the list: most calls should have a chance.
const signer = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(0, 2) }, fc.nat(12));
const target = fc.nat(5);
const roles = fc.oneof(
  fc.constant<string[]>(["admin"]),
  fc.subarray(["admin", "network-admin", "clerk"]),
);
const command = fc.oneof(
  fc.record({
    do: fc.constant("register" as const),
    signer,
    org: fc.constantFrom(...ORGS, undefined),
    name: fc.constantFrom("p", "q", "r"),
    key: fc.constantFrom(...KEYS),
    roles,
  }),
  fc.record({ do: fc.constant("suspend" as const), signer, target }),
  fc.record({ do: fc.constant("resume" as const), signer, target }),
  fc.record({ do: fc.constant("setRoles" as const), signer, target, roles }),
  fc.record({ do: fc.constant("rotate" as const), signer, target, key: fc.constantFrom(...KEYS) }),
  fc.record({
    do: fc.constant("addOrg" as const),
    signer,
    org: fc.constantFrom(...ORGS),
    key: fc.constantFrom(...KEYS),
  }),
  fc.record({ do: fc.constant("suspendOrg" as const), signer, org: fc.constantFrom(...ORGS) }),
  fc.record({ do: fc.constant("resumeOrg" as const), signer, org: fc.constantFrom(...ORGS) }),
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

/** Whether the rules allow it; when they do, the model has done it. */
function act(model: Model, c: Command, by: ModelAccount): boolean {
  const at = (i: number) => model.accounts[i % model.accounts.length]!;
  if (!by.active || model.orgs.get(by.org) !== true) return false;
  const isAdminOf = (org: string) => by.roles.includes("admin") && by.org === org;
  const isNetworkAdmin = by.roles.includes("network-admin");
  const mayGive = (before: string[], after: string[]) =>
    before.includes("network-admin") === after.includes("network-admin") || isNetworkAdmin;
  const isLast = (account: ModelAccount, role: string) =>
    account.active &&
    account.roles.includes(role) &&
    !model.accounts.some(
      (other) =>
        other !== account &&
        other.active &&
        other.roles.includes(role) &&
        (role === "network-admin" || other.org === account.org),
    );
  const freshKey = (key: string) => !model.usedKeys.has(key);
  switch (c.do) {
    case "register": {
      const org = c.org ?? by.org;
      if (!isAdminOf(org) || !mayGive([], c.roles) || !model.orgs.has(org)) return false;
      if (model.accounts.some((a) => a.org === org && a.name === c.name)) return false;
      if (!freshKey(c.key)) return false;
      const { name, key } = c;
      model.accounts.push({ name, org, key, first: key, roles: c.roles, active: true });
      model.usedKeys.add(key);
      return true;
    }
    case "suspend": {
      const account = at(c.target);
      if (!isAdminOf(account.org) || !account.active) return false;
      if (isLast(account, "admin") || isLast(account, "network-admin")) return false;
      account.active = false;
      return true;
    }
    case "resume": {
      const account = at(c.target);
      if (!isAdminOf(account.org) || account.active) return false;
      account.active = true;
      return true;
    }
    case "setRoles": {
      const account = at(c.target);
      if (!isAdminOf(account.org) || !mayGive(account.roles, c.roles)) return false;
      for (const role of ["admin", "network-admin"]) {
        if (!c.roles.includes(role) && isLast(account, role)) return false;
      }
      account.roles = c.roles;
      return true;
    }
    case "rotate": {
      const account = at(c.target);
      if (account !== by && (!isAdminOf(account.org) || !mayGive(account.roles, []))) return false;
      if (!freshKey(c.key)) return false;
      account.key = c.key;
      model.usedKeys.add(c.key);
      return true;
    }
    case "addOrg":
      if (!isNetworkAdmin || model.orgs.has(c.org) || !freshKey(c.key)) return false;
      model.orgs.set(c.org, true);
      model.usedKeys.add(c.key);
      model.accounts.push({
        name: "first",
        org: c.org,
        key: c.key,
        first: c.key,
        roles: ["admin"],
        active: true,
      });
      return true;
    default: {
      const status = c.do === "resumeOrg";
      if (!isNetworkAdmin || model.orgs.get(c.org) !== !status) return false;
      if (!status && c.org === by.org) return false;
      model.orgs.set(c.org, status);
      return true;
    }
  }
}

function payloadOf(model: Model, c: Command): Uint8Array {
  const key = (name: string) => publicKeyToCbor(pairOf(name).publicKey);
  const account = (i: number) =>
    accountIdOf(pairOf(model.accounts[i % model.accounts.length]!.first).publicKey);
  const call = (action: string, args: Parameters<typeof encodeNativeCall>[2]) =>
    encodeNativeCall("registry", action, args);
  switch (c.do) {
    case "register":
      return call("account.register", {
        name: c.name,
        key: key(c.key),
        roles: c.roles,
        ...(c.org === undefined ? {} : { org: c.org }),
      });
    case "suspend":
      return call("account.suspend", { account: account(c.target) });
    case "resume":
      return call("account.resume", { account: account(c.target) });
    case "setRoles":
      return call("account.setRoles", { account: account(c.target), roles: c.roles });
    case "rotate":
      return call("account.rotateKey", { account: account(c.target), key: key(c.key) });
    case "addOrg":
      return call("org.add", { id: c.org, name: c.org, adminName: "first", adminKey: key(c.key) });
    case "suspendOrg":
      return call("org.suspend", { id: c.org });
    case "resumeOrg":
      return call("org.resume", { id: c.org });
  }
}

const seen = new Set<string>();

test("the registry allows exactly what the model allows, and holds exactly its accounts", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { minLength: 12, maxLength: 40, size: "max" }),
      async (commands) => {
        const rig = await createRigGenesis({ organizations: ["a", "b"], people: ["ada"] });
        const node = await createRigNode(rig);
        const model: Model = {
          orgs: new Map([
            ["a", true],
            ["b", true],
          ]),
          accounts: rig.people.map(({ name, org }, i) => ({
            name,
            org,
            key: `${org}/${name}`,
            first: `${org}/${name}`,
            roles: name === "admin" ? (i === 0 ? ["admin", "network-admin"] : ["admin"]) : [],
            active: true,
          })),
          usedKeys: new Set(rig.people.map(({ name, org }) => `${org}/${name}`)),
        };
        for (const c of commands) {
          const by = model.accounts[c.signer % model.accounts.length]!;
          const { bytes, id } = signPayload(pairOf(by.key), payloadOf(model, c), {
            ledgerId: rig.ledgerId,
            validUntil: node.clock.now() + 60_000,
          });
          const allowed = act(model, c, by);
          if (allowed) seen.add(c.do);
          const [accepted] = await node.ledger.submitMany([bytes]);
          await runBlock(rig, [node]);
          // Refused at the door or as an outcome; allowed means both.
          const status = await node.ledger.status(id);
          if (accepted instanceof HanseError) assert.match(accepted.code, /^IDENTITY_/);
          const done = status.state === "final" && status.outcome.code === "ok";
          assert.equal(
            done,
            allowed,
            `${JSON.stringify(c)} by ${by.org}/${by.name}: ${String(accepted)}`,
          );
        }
        const held = listAccounts(node.store.state, { limit: 100 })
          .map((a) => `${a.org}/${a.name} ${[...a.roles].sort()} ${a.status}`)
          .sort();
        const expected = model.accounts
          .map(
            (a) => `${a.org}/${a.name} ${[...a.roles].sort()} ${a.active ? "active" : "suspended"}`,
          )
          .sort();
        assert.deepEqual(held, expected);
        const orgs = listOrganizations(node.store.state, 100).map((o) => [
          o.id,
          o.status === "active",
        ]);
        assert.deepEqual(orgs, [...model.orgs].sort());
      },
    ),
    { numRuns: 120 },
  );
  assert.equal(seen.size, 8, `only these were ever allowed: ${[...seen]}`);
});
