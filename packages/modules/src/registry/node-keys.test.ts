/** Goal: a node's TLS key is changed by administrators of its own organization alone, and to a fresh one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { listNodes } from "@hanse/identity";
import { HanseError, toHex } from "@hanse/protocol";
import {
  createRigGenesis,
  createRigNode,
  runBlock,
  signPayload,
} from "../../../ledger/src/testing/ledger-rig.ts";
import { encodeNativeCall } from "../engine/native-engine.ts";

test("who may change the TLS key of which node, and to what", async () => {
  const rig = await createRigGenesis({ organizations: ["a", "b"], people: ["ada"] });
  const node = await createRigNode(rig);
  const nodes = listNodes(node.store.state, 10);
  const own = nodes.find(({ org }) => org === "a")!;
  const setTls = async (
    org: string,
    name: string,
    args: Parameters<typeof encodeNativeCall>[2],
  ) => {
    const person = rig.people.find((one) => one.org === org && one.name === name)!;
    const payload = encodeNativeCall("registry", "node.setTls", args);
    const validUntil = node.clock.now() + 60_000;
    const { bytes, id } = signPayload(person.pair, payload, { ledgerId: rig.ledgerId, validUntil });
    const [accepted] = await node.ledger.submitMany([bytes]);
    if (accepted instanceof HanseError) return accepted.code;
    await runBlock(rig, [node]);
    const status = await node.ledger.status(id);
    return status.state === "final" ? status.outcome.code : status.state;
  };
  const fingerprint = () =>
    toHex(listNodes(node.store.state, 10).find(({ id }) => id === own.id)!.tlsFingerprint);
  const fresh = new Uint8Array(32).fill(7);
  const before = fingerprint();
  assert.equal(
    await setTls("b", "admin", { node: own.id, tlsFingerprint: fresh }),
    "IDENTITY_DENIED",
  );
  assert.equal(
    await setTls("a", "ada", { node: own.id, tlsFingerprint: fresh }),
    "IDENTITY_DENIED",
  );
  assert.equal(
    await setTls("a", "admin", { node: "a/nowhere", tlsFingerprint: fresh }),
    "IDENTITY_NO_NODE",
  );
  assert.equal(fingerprint(), before);
  assert.equal(await setTls("a", "admin", { node: own.id, tlsFingerprint: fresh }), "ok");
  assert.equal(fingerprint(), toHex(fresh));
  assert.equal(
    await setTls("a", "admin", { node: own.id, tlsFingerprint: fresh }),
    "IDENTITY_KEY_USED",
  );
  const short = await setTls("a", "admin", { node: own.id, tlsFingerprint: new Uint8Array(31) });
  assert.match(short, /^MODULE_/);
});
