/**
 * Goal: over real links, with real keys, a relay that ends is not felt for longer than two
 * seconds, and nodes without a link to each other talk all the same. Method: nine nodes in one
 * process, each with links to its relays only.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Clock } from "@hanse/ordering";
import {
  createKeyPair,
  readyKeyBackends,
  sha256,
  signMessage,
  utf8,
  verifySignature,
} from "@hanse/protocol";
import { createTlsIdentity } from "../identity/tls-identity.ts";
import type { NodeFacts } from "../topology/election.ts";
import { planLinks } from "../topology/link-plan.ts";
import { createTlsTransport } from "../transport/tls-transport.ts";
import { createRelayedTransport } from "./relayed-transport.ts";

await readyKeyBackends();
const ledgerId = new Uint8Array(32).fill(1);
const clock: Clock = {
  now: () => Date.now(),
  setTimer(ms, fire) {
    const timer = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
const ids = Array.from({ length: 9 }, (_, i) => `org-${i}/node`);
const facts = ids.map(
  (id): NodeFacts => ({
    id,
    org: id.split("/")[0]!,
    healthPpm: 1_000_000,
    freeKilobits: 100_000,
    dialable: true,
    terms: 0,
  }),
);
const plan = planLinks(facts, sha256(utf8("seed")))!;
const keys = new Map(ids.map((id) => [id, createKeyPair("ed25519")]));
const identities = new Map(
  await Promise.all(ids.map(async (name) => [name, await createTlsIdentity({ name })] as const)),
);

async function createNode(id: string) {
  const links = createTlsTransport({
    self: id,
    identity: identities.get(id)!,
    listen: { host: "127.0.0.1", port: 0 },
    peers: [],
    ledgerId,
    limits: { keepaliveMs: 500, reconnectMsMax: 200 },
  });
  const transport = createRelayedTransport({
    links,
    ledgerId,
    clock,
    sign: (message) => signMessage(keys.get(id)!, message),
    verify(origin, message, seal) {
      const pair = keys.get(origin);
      return pair !== undefined && verifySignature(pair.publicKey, message, seal);
    },
  });
  const received: { text: string; at: number }[] = [];
  transport.onMessage((from, channel, message) =>
    received.push({ text: `${from} ${channel} ${Buffer.from(message)}`, at: performance.now() }),
  );
  const { port } = await links.start();
  const stop = async () => {
    transport.stop();
    await links.stop();
  };
  return { id, links, transport, received, stop, address: `127.0.0.1:${port}` };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!condition()) {
    assert.ok(performance.now() < end, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("the end of a relay is felt for less than two seconds", async () => {
  const nodes = await Promise.all(ids.map(createNode));
  after(() => Promise.all(nodes.map((node) => node.stop())));
  for (const { id, links, transport } of nodes) {
    links.setWanted(plan.links.get(id));
    links.setPeers(
      nodes
        .filter((other) => other.id !== id)
        .map((other) => ({
          id: other.id,
          address: other.address,
          tlsFingerprint: identities.get(other.id)!.fingerprint,
        })),
    );
    transport.setLinkPlan(plan);
  }
  await until(
    () => nodes.every(({ transport }) => transport.peers().length === 8),
    "all reach all",
  );
  const children = nodes.filter(({ id }) => !plan.relays.has(id));
  const linksOf = ({ links }: (typeof nodes)[number]) => links.peers().length;
  for (const child of children) assert.ok(linksOf(child) <= 5, `${child.id} ${linksOf(child)}`);
  // A sender, and a listener that has no link to it and shares its first relay.
  const sender = children[0]!;
  const listener = children.find(
    ({ id }) => id !== sender.id && !plan.links.get(sender.id)!.has(id),
  )!;
  sender.transport.send(listener.id, "sync", utf8("for one"));
  await until(() => listener.received.length === 1, "a message over relays");
  assert.equal(listener.received[0]!.text, `${sender.id} sync for one`);
  assert.ok(children.every((node) => node === listener || node.received.length === 0));

  let sent = 0;
  // What holds this process up as a whole is no silence of the relays.
  let heldUpMs = 0;
  let spoke = performance.now();
  const talk = setInterval(() => {
    heldUpMs = Math.max(heldUpMs, performance.now() - spoke - 20);
    spoke = performance.now();
    sender.transport.broadcast("consensus", utf8(`${sent++}`));
  }, 20);
  await until(() => listener.received.length > 20, "talk");
  heldUpMs = 0;
  const [first] = plan.parents.get(sender.id)!;
  const relay = nodes.find(({ id }) => id === first)!;
  const killedAt = performance.now();
  await relay.stop();
  await new Promise((resolve) => setTimeout(resolve, 2500));
  clearInterval(talk);
  const times = listener.received.map(({ at }) => at).filter((at) => at >= killedAt - 100);
  assert.ok(times.length > 20);
  const gaps = times.slice(1).map((at, i) => at - times[i]!);
  const silentMs = Math.max(...gaps) - heldUpMs;
  assert.ok(silentMs < 2000, `silent for ${silentMs} ms, held up for ${heldUpMs} ms`);
  await until(
    () => listener.received.at(-1)!.text === `${sender.id} consensus ${sent - 1}`,
    "the last message",
  );
});
