/** Goal: engines follow one another over the same links, and neither hears the other. Method: fakes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Channel, OrderingEngine, OrderingEra, Transport } from "@hanse/ordering";
import { HanseError } from "@hanse/protocol";
import { createSwitchingEngine } from "./switching-engine.ts";
import { firstLane, laneOf } from "./transport-lanes.ts";

const ERA: OrderingEra = { height: 9, engineEpoch: 1, kind: "etcd", policy: "fixed" };
const bytes = (...list: number[]) => Uint8Array.from(list);

function createFake(kind: OrderingEngine["kind"], told: string[]): OrderingEngine {
  return {
    kind,
    async start() {
      told.push(`${kind} starts`);
    },
    async stop(how) {
      told.push(`${kind} stops ${how}`);
    },
    status: () => ({ ...IDLE, height: kind === "etcd" ? 9 : 8 }),
    wake: () => told.push(`${kind} wakes`),
  };
}

const IDLE: ReturnType<OrderingEngine["status"]> = {
  height: 0,
  view: 0,
  role: "observer",
  syncing: false,
  quarantined: undefined,
  stalledSince: undefined,
  peers: [],
};

test("the next engine is opened at the handover and asked from then on; both are stopped", async () => {
  const told: string[] = [];
  let handOver: (era: OrderingEra) => void = () => {};
  const engine = createSwitchingEngine({
    open(handler) {
      handOver = handler;
      return createFake("builtin", told);
    },
    openNext: ({ kind }) => createFake(kind, told),
    onFailure: (error) => assert.fail(error.message),
  });
  await engine.start();
  assert.deepEqual([engine.kind, engine.status().height], ["builtin", 8]);
  handOver(ERA);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([engine.kind, engine.status().height], ["etcd", 9]);
  engine.wake();
  await engine.stop("drain");
  assert.deepEqual(told, [
    "builtin starts",
    "etcd starts",
    "etcd wakes",
    "etcd wakes",
    "etcd stops drain",
    "builtin stops drain",
  ]);
});

test("a node that cannot run the next engine says so and stays with the first", async () => {
  const failures: string[] = [];
  let handOver: (era: OrderingEra) => void = () => {};
  const engine = createSwitchingEngine({
    open(handler) {
      handOver = handler;
      return createFake("builtin", []);
    },
    openNext() {
      throw new HanseError("ETCD_ENDPOINTS", "rejected", "etcd.urls: no address");
    },
    onFailure: (error) => failures.push(error.code),
  });
  handOver(ERA);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([failures, engine.kind], [["ETCD_ENDPOINTS"], "builtin"]);
});

test("messages reach the engine of their epoch alone", () => {
  const sent: Uint8Array[] = [];
  const handlers: ((from: string, channel: Channel, message: Uint8Array) => void)[] = [];
  const links: Transport = {
    self: "a",
    send: (_to, _channel, message) => void sent.push(message),
    broadcast: (_channel, message) => void sent.push(message),
    onMessage: (handler) => void handlers.push(handler),
    onPeer: () => {},
    peers: () => ["b"],
  };
  const heard: string[] = [];
  const lanes = { first: firstLane(links), second: laneOf(links, 1), third: laneOf(links, 2) };
  for (const [name, lane] of Object.entries(lanes)) {
    lane.onMessage((from, _channel, message) => heard.push(`${name} ${from} ${message.join()}`));
    lane.send("b", "consensus", bytes(0x82, 1));
    lane.broadcast("sync", bytes(0x83));
    assert.deepEqual([lane.self, lane.peers()], ["a", ["b"]]);
  }
  for (const message of sent) for (const handler of handlers) handler("b", "consensus", message);
  assert.deepEqual(heard, [
    "first b 130,1",
    "first b 131",
    "second b 130,1",
    "second b 131",
    "third b 130,1",
    "third b 131",
  ]);
});
