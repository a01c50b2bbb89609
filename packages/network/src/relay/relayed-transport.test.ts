/**
 * Goal: fifty nodes of which most cannot be dialed reach one another over elected relays; no relay
 * carries much of it, none can silence or forge anybody, and the loss of one organization's relays
 * is not felt. Method: the production transport and plan, links in memory under virtual time.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Channel, Clock, Transport } from "@hanse/ordering";
import { type Bytes, concatBytes, equalBytes, sha256, utf8 } from "@hanse/protocol";
import type { NodeFacts } from "../topology/election.ts";
import { type LinkPlan, planLinks } from "../topology/link-plan.ts";
import { decodeEnvelope, encodeEnvelope, encodeEnvelopeBody } from "./envelope.ts";
import type { EnvelopeLinks } from "./envelope-links.ts";
import { AWAY_MS, createRelayedTransport, type RelayedTransport } from "./relayed-transport.ts";

const NODES = 50;
const ORGS = 25;
const ledgerId = new Uint8Array(32).fill(1);

/** Virtual time: events in order of time, then of scheduling. */
class World {
  now = 1_000_000;
  #count = 0;
  readonly #events: { at: number; n: number; fire: () => void }[] = [];

  schedule(ms: number, fire: () => void): { cancel(): void } {
    const event = { at: this.now + ms, n: this.#count++, fire };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const one = this.#events[middle]!;
      if (one.at < event.at || (one.at === event.at && one.n < event.n)) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
    return {
      cancel() {
        event.fire = () => {};
      },
    };
  }

  run(ms: number): void {
    const end = this.now + ms;
    while (this.#events.length > 0 && this.#events[0]!.at <= end) {
      const event = this.#events.shift()!;
      this.now = event.at;
      event.fire();
    }
    this.now = end;
  }
}

type Handler = (from: string, channel: Channel, bytes: Bytes) => void;

interface MemoryNode {
  readonly links: Transport & EnvelopeLinks;
  readonly transport: RelayedTransport;
  readonly received: { from: string; text: string; at: number }[];
  take(kind: "message" | "envelope", from: string, channel: Channel, bytes: Bytes): void;
  tell(peer: string, up: boolean): void;
}

/** Seals that nobody else can make, as far as this test goes. */
const sealOf = (id: string, message: Bytes) =>
  sha256(concatBytes(utf8(`secret of ${id}\0`), message)).subarray(0, 16);

class MemoryNetwork {
  readonly world = new World();
  readonly nodes = new Map<string, MemoryNode>();
  readonly dead = new Set<string>();
  /** Relays that give signs of life and swallow everything else of others. */
  readonly suppressors = new Set<string>();
  /** Everything that went over any link. */
  spied: Bytes[] | undefined;
  plan: LinkPlan;

  constructor(facts: readonly NodeFacts[], plan: LinkPlan) {
    this.plan = plan;
    const clock: Clock = {
      now: () => this.world.now,
      setTimer: (ms, fire) => this.world.schedule(ms, fire),
    };
    for (const { id } of facts) this.nodes.set(id, this.#createNode(id, clock));
    for (const { transport } of this.nodes.values()) transport.setLinkPlan(plan);
  }

  #neighbours(id: string): string[] {
    return [...this.plan.links.get(id)!].filter((other) => !this.dead.has(other));
  }

  #createNode(id: string, clock: Clock): MemoryNode {
    const handlers: Record<"message" | "envelope", Handler[]> = { message: [], envelope: [] };
    const onPeer: ((peer: string, up: boolean) => void)[] = [];
    const send = (kind: "message" | "envelope", to: string, channel: Channel, bytes: Bytes) => {
      if (this.dead.has(id) || !this.#neighbours(id).includes(to)) return;
      this.spied?.push(bytes);
      if (kind === "envelope" && this.suppressors.has(id)) {
        const { origin, message } = decodeEnvelope(bytes);
        if (origin !== id && message !== undefined) return;
      }
      const delayMs = 5 + (sha256(utf8(`${id} ${to}`))[0]! % 40);
      this.world.schedule(delayMs, () => {
        if (!this.dead.has(to)) this.nodes.get(to)!.take(kind, id, channel, bytes);
      });
    };
    const links: Transport & EnvelopeLinks = {
      self: id,
      send: (to, channel, bytes) => send("message", to, channel, bytes),
      broadcast: (channel, bytes) => {
        for (const to of this.#neighbours(id)) send("message", to, channel, bytes);
      },
      sendEnvelope: (to, channel, bytes) => send("envelope", to, channel, bytes),
      onMessage: (handler) => handlers.message.push(handler),
      onEnvelope: (handler) => handlers.envelope.push(handler),
      onPeer: (handler) => onPeer.push(handler),
      peers: () => this.#neighbours(id),
    };
    const transport = createRelayedTransport({
      links,
      ledgerId,
      clock,
      sign: (message) => sealOf(id, message),
      verify: (origin, message, seal) =>
        this.nodes.has(origin) && equalBytes(seal, sealOf(origin, message)),
    });
    const received: MemoryNode["received"] = [];
    transport.onMessage((from, _channel, bytes) =>
      received.push({ from, text: Buffer.from(bytes).toString(), at: this.world.now }),
    );
    return {
      links,
      transport,
      received,
      take(kind, from, channel, bytes) {
        for (const handler of handlers[kind]) handler(from, channel, bytes);
      },
      tell(peer, up) {
        for (const handler of onPeer) handler(peer, up);
      },
    };
  }

  /** The links of a killed node end; of a standing one they stay open, in silence. */
  kill(id: string, linksEnd: boolean): void {
    const neighbours = linksEnd ? this.#neighbours(id) : [];
    this.dead.add(id);
    for (const other of neighbours) this.nodes.get(other)!.tell(id, false);
  }

  /** Everybody sends once; the share of all deliveries that came within the time, to those alive. */
  measureDelivery(label: string, withinMs: number): number {
    const alive = [...this.nodes].filter(([id]) => !this.dead.has(id));
    const started = this.world.now;
    for (const [id, { transport }] of alive)
      transport.broadcast("consensus", utf8(`${label} ${id}`));
    this.world.run(withinMs);
    let delivered = 0;
    for (const [id, { received }] of alive) {
      const got = received.filter(({ text, at }) => text.startsWith(`${label} `) && at >= started);
      assert.equal(new Set(got.map(({ text }) => text)).size, got.length, "nothing comes twice");
      for (const { from, text } of got) assert.equal(text, `${label} ${from}`);
      delivered += got.length;
      assert.ok(!got.some(({ from }) => from === id));
    }
    return delivered / (alive.length * (alive.length - 1));
  }
}

/** Two of five can be dialed; two nodes for each organization. */
const facts: readonly NodeFacts[] = Array.from({ length: NODES }, (_, i) => ({
  id: `org-${i % ORGS}/node-${i}`,
  org: `org-${i % ORGS}`,
  healthPpm: 900_000 + ((i * 7919) % 100_000),
  freeKilobits: 50_000 + ((i * 104_729) % 100_000),
  dialable: i % 5 < 2,
  terms: 0,
}));
const planOf = (epoch: number) => planLinks(facts, sha256(utf8(`epoch ${epoch}`)))!;
const orgOf = (id: string) => id.split("/")[0]!;

test("fifty nodes, most behind NAT: all reach all, with few links each", () => {
  const plan = planOf(0);
  const network = new MemoryNetwork(facts, plan);
  network.world.run(1500);
  let pairs = 0;
  for (const { transport } of network.nodes.values()) pairs += transport.peers().length;
  assert.ok(pairs / (NODES * (NODES - 1)) >= 0.99, `${pairs} pairs`);
  const dialable = (id: string) => facts.find((node) => node.id === id)!.dialable;
  let degrees = 0;
  for (const [id, links] of plan.links) {
    degrees += links.size;
    for (const other of links) assert.ok(dialable(id) || dialable(other), "a link can be made");
    if (!plan.relays.has(id)) assert.ok(links.size <= 5, `${id} has ${links.size} links`);
  }
  assert.ok(degrees / NODES < 10, `${degrees / NODES} links on average, of ${NODES - 1}`);
  const [a, b] = [...network.nodes.keys()].filter((id) => !plan.relays.has(id));
  network.spied = [];
  network.nodes.get(a!)!.transport.send(b!, "sync", utf8("for b alone"));
  network.world.run(500);
  assert.ok(network.spied.length > 2);
  for (const bytes of network.spied) assert.ok(!Buffer.from(bytes).includes("for b alone"));
  const got = [...network.nodes].filter(([, node]) => node.received.length > 0);
  assert.deepEqual(
    got.map(([id]) => id),
    [b],
    "a message for one comes to that one alone",
  );
  assert.equal(got[0]![1].received[0]!.text, "for b alone");
});

test("over epochs: no relay carries a quarter, none silences anybody, an organization's loss is not felt", () => {
  for (let epoch = 0; epoch < 3; epoch++) {
    const plan = planOf(epoch);
    const network = new MemoryNetwork(facts, plan);
    network.world.run(1000);
    assert.equal(network.measureDelivery("all", 2000), 1);
    const carried = [...plan.relays].map(
      (id) => network.nodes.get(id)!.transport.counters.relayedBytes,
    );
    const total = carried.reduce((sum, one) => sum + one, 0);
    const most = Math.max(...carried) / total;
    assert.ok(most < 0.25, `a relay carries ${most} of all`);
    for (const id of network.nodes.keys()) {
      if (plan.relays.has(id)) continue;
      assert.equal(network.nodes.get(id)!.transport.counters.relayed, 0, "only relays relay");
    }
    const relays = [...plan.relays];
    network.suppressors.add(relays[epoch % relays.length]!);
    const despite = network.measureDelivery("despite one", 2000);
    assert.ok(despite >= 0.99, `${despite} within two seconds although a relay swallows all`);
    network.suppressors.clear();
    const org = orgOf(relays[(epoch + 1) % relays.length]!);
    for (const id of relays) if (orgOf(id) === org) network.kill(id, true);
    const without = network.measureDelivery("without one", 2000);
    assert.ok(without >= 0.99, `${without} without the relays of ${org}`);
  }
});

test("two relays of one child fall silent at once: within two seconds the third serves", () => {
  const plan = planOf(1);
  const network = new MemoryNetwork(facts, plan);
  network.world.run(2000);
  const [child, parents] = [...plan.parents][0]!;
  for (const relay of parents.slice(0, 2)) network.kill(relay, false);
  network.world.run(2000);
  const { received, transport } = network.nodes.get(child)!;
  const before = received.length;
  assert.ok(network.measureDelivery("later", 1000) >= 0.99);
  assert.ok(received.length - before >= 40, "the child hears the others again");
  assert.ok(transport.peers().length >= 45);
  network.world.run(AWAY_MS);
  assert.ok(!transport.peers().includes(parents[0]!), "the dead are known to be away");
});

test("forged seals, forged origins and repeats go nowhere", () => {
  const plan = planOf(2);
  const network = new MemoryNetwork(facts, plan);
  network.world.run(600);
  const [child, parents] = [...plan.parents][0]!;
  const [victim] = [...network.nodes.keys()].filter((id) => id !== child && !parents.includes(id));
  const liar = network.nodes.get(parents[0]!)!;
  const target = network.nodes.get(child)!;
  const body = (over: object = {}) =>
    encodeEnvelopeBody({
      origin: victim!,
      sequence: network.world.now * 2000,
      channel: "consensus",
      to: undefined,
      message: utf8("a vote that was never cast"),
      boxKey: undefined,
      ...over,
    });
  const refused = target.transport.counters.forged;
  const lies = [
    encodeEnvelope(0, body(), sealOf(parents[0]!, body())),
    encodeEnvelope(0, body({ origin: "org-9/nobody" }), sealOf("org-9/nobody", body())),
    utf8("no envelope at all"),
  ];
  for (const lie of lies) liar.links.sendEnvelope(child, "consensus", lie);
  network.world.run(100);
  assert.equal(target.transport.counters.forged - refused, lies.length);
  assert.deepEqual(target.received, []);
  // A true one of the relay itself, over and over.
  const sealed = body({ origin: parents[0]! });
  const seal = sealOf(parents[0]!, concatBytes(utf8("hanse/relay/1\0"), ledgerId, sealed));
  for (let i = 0; i < 5; i++) {
    liar.links.sendEnvelope(child, "consensus", encodeEnvelope(0, sealed, seal));
  }
  network.world.run(100);
  assert.equal(target.received.length, 1);
});
