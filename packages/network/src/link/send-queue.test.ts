/** Goal: urgent first, order kept per channel, the bound never exceeded, the least urgent pay. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Channel } from "@hanse/ordering";
import fc from "fast-check";
import { CHANNELS } from "../frames/frame-codec.ts";
import { SendQueue, SYNC_SHARE } from "./send-queue.ts";

test("a full queue drops the oldest of the least urgent, never the more urgent", () => {
  const dropped: Channel[] = [];
  const queue = new SendQueue(1000, (channel) => dropped.push(channel));
  const of = (mark: number, length: number) => new Uint8Array(length).fill(mark);
  queue.push("transactions", of(1, 300));
  queue.push("transactions", of(2, 300));
  queue.push("sync", of(3, 300));
  queue.push("consensus", of(4, 300));
  assert.deepEqual(dropped, ["transactions"]);
  queue.push("transactions", of(5, 900));
  assert.deepEqual(dropped, ["transactions", "transactions", "transactions"]);
  const order: number[] = [];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    order.push(next.message[0]!);
  }
  assert.deepEqual(order, [4, 3]);
  assert.equal(queue.bytes, 0);
});

test("property: bound, priority and order per channel", () => {
  const action = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(fc.constantFrom(...CHANNELS), fc.nat({ max: 120 })) },
    { weight: 1, arbitrary: fc.constant("shift" as const) },
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      let count = 0;
      let drops = 0;
      let taken = 0;
      let accepted = 0;
      const last = new Map<Channel, number>();
      const queue = new SendQueue(500, () => drops++);
      for (const step of actions) {
        if (step === "shift") {
          const next = queue.shift();
          if (next === undefined) continue;
          taken++;
          const number = new DataView(next.message.buffer).getUint32(0);
          assert.ok(number > (last.get(next.channel) ?? 0), "order per channel");
          last.set(next.channel, number);
        } else {
          const message = new Uint8Array(4 + step[1]);
          new DataView(message.buffer).setUint32(0, ++count);
          queue.push(step[0], message);
          accepted++;
        }
        assert.ok(queue.bytes <= 500);
      }
      let votesOver = false;
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        assert.ok(next.channel !== "consensus" || !votesOver, "most urgent first");
        votesOver ||= next.channel !== "consensus";
        taken++;
      }
      assert.equal(taken + drops, accepted);
    }),
  );
});

test("sync and transactions share a link by bytes; only votes pass when asked for the urgent", () => {
  const queue = new SendQueue(1_000_000, () => assert.fail("nothing is dropped"));
  for (let i = 0; i < 200; i++) {
    queue.push("sync", new Uint8Array(1000));
    queue.push("transactions", new Uint8Array(100));
  }
  const bytes = { consensus: 0, sync: 0, transactions: 0 };
  while (bytes.transactions < 10_000) {
    const { channel, message } = queue.shift()!;
    bytes[channel] += message.length;
  }
  const share = bytes.sync / bytes.transactions;
  assert.ok(Math.abs(share - SYNC_SHARE) < 0.5, `sync got ${share} times as much`);
  queue.push("consensus", new Uint8Array(1));
  assert.equal(queue.shift(true)?.channel, "consensus");
  assert.equal(queue.shift(true), undefined);
});
