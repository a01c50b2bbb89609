/** Goal: bad calls are refused by the field they break. Method: one bad call for each. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveSender } from "@hanse/identity";
import { type CborValue, encodeCbor, HanseError, publicKeyToCbor, utf8 } from "@hanse/protocol";
import {
  createRigGenesis,
  createRigNode,
  keyOf,
  runBlock,
  signPayload,
} from "../../../ledger/src/testing/ledger-rig.ts";
import { createNotesModule, createRegistryModule } from "../index.ts";
import { createNativeEngine, encodeNativeCall } from "./native-engine.ts";

async function open() {
  const rig = await createRigGenesis();
  const node = await createRigNode(rig);
  const admin = rig.people[0]!;
  const send = async (payload: Uint8Array, person = admin) => {
    const { bytes, id } = signPayload(person.pair, payload, rig);
    const [result] = await node.ledger.submitMany([bytes]);
    return { result: result!, id };
  };
  return { rig, node, admin, send };
}

test("arguments are checked one by one, each breach names its field", async () => {
  const { send } = await open();
  const key = publicKeyToCbor(keyOf("new").publicKey);
  const register = (args: Record<string, CborValue>) =>
    encodeNativeCall("registry", "account.register", { name: "n", key, roles: [], ...args });
  const cases: [Uint8Array, string, RegExp][] = [
    [Uint8Array.of(0xff), "CBOR_UNSUPPORTED", /./],
    [encodeCbor(["registry", "account.register"]), "FIELD_INVALID", /payload/],
    [encodeCbor([1, "x", new Map()]), "FIELD_INVALID", /payload\.module/],
    [encodeCbor(["registry", "account.register", []]), "MODULE_ARGUMENT", /args: expected a map/],
    [encodeNativeCall("regsitry", "account.register", {}), "MODULE_UNKNOWN", /mean registry/],
    [encodeNativeCall("registry", "account.regster", {}), "MODULE_UNKNOWN", /account\.register/],
    [encodeNativeCall("registry", "constructor", {}), "MODULE_UNKNOWN", /registry\.action/],
    [encodeNativeCall("toString", "x", {}), "MODULE_UNKNOWN", /module/],
    [register({ nmae: "x" }), "MODULE_ARGUMENT", /args\.nmae: expected the field name/],
    [register({ name: 5 }), "MODULE_ARGUMENT", /args\.name: expected a text/],
    [register({ name: "x".repeat(201) }), "MODULE_ARGUMENT", /args\.name: expected at most 200/],
    [register({ key: "x" }), "MODULE_ARGUMENT", /args\.key: expected a public key/],
    [register({ key: [9, new Uint8Array(32)] }), "KEY_ALGORITHM", /args\.key/],
    [register({ key: [1, new Uint8Array(31)] }), "FIELD_INVALID", /args\.key\.bytes/],
    [register({ roles: "admin" }), "MODULE_ARGUMENT", /args\.roles: expected a list/],
    [register({ roles: ["a", 1] }), "MODULE_ARGUMENT", /args\.roles\[1\]/],
    [
      encodeNativeCall("registry", "account.suspend", { account: new Uint8Array(31) }),
      "MODULE_ARGUMENT",
      /args\.account: expected 32 bytes/,
    ],
    [
      encodeNativeCall("registry", "account.suspend", { account: new Uint8Array(32) }),
      "IDENTITY_NO_ACCOUNT",
      /no account/,
    ],
    [
      encodeNativeCall("notes", "put", { key: "", value: utf8("v") }),
      "MODULE_ARGUMENT",
      /args\.key/,
    ],
    [
      encodeNativeCall("notes", "put", { key: "k", value: new Uint8Array(16_385) }),
      "MODULE_ARGUMENT",
      /args\.value: expected 0 to 16384 bytes/,
    ],
  ];
  for (const [payload, code, message] of cases) {
    const { result } = await send(payload);
    assert.ok(result instanceof HanseError, `${code} was accepted`);
    assert.equal(result.code, code, result.message);
    assert.match(result.message, message);
  }
});

test("what passes admission and fails later is an outcome with code and sentence, and no effect", async () => {
  const { rig, node, send } = await open();
  const key = publicKeyToCbor(keyOf("new").publicKey);
  const register = (name: string) =>
    encodeNativeCall("registry", "account.register", { name, key, roles: ["clerk"] });
  const first = await send(register("n1"));
  const second = await send(register("n2"));
  await runBlock(rig, [node]);
  const done = await node.ledger.status(first.id);
  assert.ok(done.state === "final" && done.outcome.code === "ok");
  assert.deepEqual(
    done.outcome.events.map((e) => e.name),
    ["registry.account.registered"],
  );
  assert.equal(JSON.parse(done.outcome.events[0]!.data).name, "n1");
  const failed = await node.ledger.status(second.id);
  assert.ok(failed.state === "final");
  assert.equal(failed.outcome.code, "IDENTITY_KEY_USED");
  assert.match(failed.outcome.error, /key: /);
  assert.deepEqual(failed.outcome.events, []);
  assert.equal(failed.outcome.result, "");
  const accounts = node.ledger.query("native", "registry.accounts", { org: "harbour" }, undefined);
  assert.deepEqual(
    (accounts as { name: string }[]).map((a) => a.name),
    ["ada", "admin", "ben", "n1"],
  );
});

test("notes belong to their writer, everybody reads them", async () => {
  const { rig, node, send } = await open();
  const [, ada, ben] = rig.people;
  await send(encodeNativeCall("notes", "put", { key: "k", value: utf8("ada's") }), ada);
  await send(encodeNativeCall("notes", "put", { key: "k", value: utf8("ben's") }), ben);
  await runBlock(rig, [node]);
  const read = (person: typeof ada) =>
    node.ledger.query(
      "native",
      "notes.get",
      { key: "k" },
      resolveSender(node.store.state, person!.pair.publicKey),
    );
  assert.notDeepEqual(read(ada), read(ben));
  const { id } = await send(encodeNativeCall("notes", "remove", { key: "k" }), ada);
  await runBlock(rig, [node]);
  const status = await node.ledger.status(id);
  assert.ok(status.state === "final" && status.outcome.code === "ok");
  assert.equal(read(ada), null);
  assert.notEqual(read(ben), null);
});

test("queries name what they do not know", async () => {
  const { node } = await open();
  const ask = (name: string, input?: unknown) => () =>
    node.ledger.query("native", name, input, undefined);
  assert.throws(ask("registry.acounts"), { code: "MODULE_UNKNOWN", message: /mean accounts/ });
  assert.throws(ask("registry.accounts", []), { code: "MODULE_ARGUMENT" });
  assert.throws(ask("registry.accounts", { limit: -1 }), { code: "MODULE_ARGUMENT" });
  assert.throws(ask("registry.accounts", { org: 5 }), { code: "MODULE_ARGUMENT" });
  assert.throws(() => node.ledger.query("evm", "x", {}, undefined), {
    code: "LEDGER_QUERY_ENGINE",
  });
  assert.throws(() => createNativeEngine([createNotesModule(), createNotesModule()]), {
    code: "MODULE_TWICE",
  });
  assert.equal(createNativeEngine([createRegistryModule()]).kind, "native");
});
