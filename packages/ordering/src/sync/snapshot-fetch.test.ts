/**
 * Goal: a snapshot is fetched from several peers, whatever some of them send, and an attempt that
 * was interrupted goes on. Method: peers answer through the production server over a scripted
 * network in virtual time.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  type Bytes,
  readyKeyBackends,
  sha256,
  type TrustedSet,
  toHex,
  utf8,
} from "@hanse/protocol";
import fc from "fast-check";
import type { Clock } from "../engine/interfaces.ts";
import {
  type SampleSet,
  type SampleSnapshot,
  sampleSet,
  sampleSnapshot,
} from "../testing/snapshot-samples.ts";
import { SnapshotFetch, type SnapshotFetchEvent } from "./snapshot-fetch.ts";
import { encodeSnapshotManifest, snapshotIdOf } from "./snapshot-manifest.ts";
import {
  decodeSnapshotMessage,
  encodeSnapshotMessage,
  isSnapshotMessage,
  type SnapshotMessage,
} from "./snapshot-messages.ts";
import { SnapshotServe } from "./snapshot-serve.ts";

let set: SampleSet;
before(async () => {
  await readyKeyBackends();
  set = sampleSet(["a", "b", "c", "d"]);
});

/** Virtual time: timers fire when `run` passes them. */
function createClock() {
  let now = 1_000;
  let next = 0;
  const timers = new Map<number, { at: number; fire: () => void }>();
  const clock: Clock = {
    now: () => now,
    setTimer(ms, fire) {
      const id = next++;
      timers.set(id, { at: now + ms, fire });
      return { cancel: () => timers.delete(id) };
    },
  };
  /** Until `done` or for so long. */
  async function run(ms: number, done: () => boolean): Promise<void> {
    const end = now + ms;
    while (!done() && now < end) {
      // What was sent is answered through promises.
      for (let i = 0; i < 20; i++) await Promise.resolve();
      if (done()) return;
      const due = [...timers].sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
      if (due === undefined) {
        now = end;
        return;
      }
      timers.delete(due[0]);
      now = Math.max(now, due[1].at);
      due[1].fire();
    }
  }
  return { clock, run };
}

type Bend = (answer: SnapshotMessage) => SnapshotMessage | undefined;

/** A joining node and peers that each serve one snapshot, their answers bent. */
function createScene(
  peers: Readonly<Record<string, { sample: SampleSnapshot; bend?: Bend }>>,
  anchor?: TrustedSet,
) {
  const { clock, run } = createClock();
  const saved = new Map<number, Bytes>();
  const events: SnapshotFetchEvent[] = [];
  const served = new Map<string, number>();
  const servers = new Map<string, SnapshotServe>();
  const fetch = new SnapshotFetch({
    transport: {
      peers: () => Object.keys(peers),
      send(to, _channel, message) {
        assert.ok(isSnapshotMessage(message));
        const question = decodeSnapshotMessage(message);
        clock.setTimer(5, () => servers.get(to)!.receive("joiner", question));
      },
    },
    clock,
    trust: { ...Object.values(peers)[0]!.sample.trust, ...(anchor && { anchor }) },
    async open(manifest) {
      const at = toHex(snapshotIdOf(manifest.content));
      if (openedAt !== at) saved.clear();
      openedAt = at;
      return {
        has: (index) => saved.has(index),
        save: async (index, bytes) => void saved.set(index, bytes),
      };
    },
    report: (event) => events.push(event),
  });
  let openedAt: string | undefined;
  for (const [id, { sample, bend = (answer: SnapshotMessage) => answer }] of Object.entries(
    peers,
  )) {
    const manifest = encodeSnapshotManifest(sample.manifest);
    const snapshotId = snapshotIdOf(sample.manifest.content);
    servers.set(
      id,
      new SnapshotServe({
        transport: {
          send(_to, _channel, message) {
            const answer = bend(decodeSnapshotMessage(message));
            if (answer === undefined) return;
            if (answer.t === "chunk") served.set(id, (served.get(id) ?? 0) + 1);
            const bytes = encodeSnapshotMessage(answer);
            clock.setTimer(5, () => fetch.receive(id, decodeSnapshotMessage(bytes)));
          },
        },
        clock,
        source: {
          lowest: 1,
          offers: [{ height: sample.manifest.content.height, id: snapshotId }],
          manifest: async () => manifest,
          chunk: async (_id, index) => sample.chunks[index],
        },
        report: () => {},
      }),
    );
  }
  const isComplete = () => events.some((event) => event.t === "complete");
  const codes = () =>
    events.flatMap((event) => (event.t === "badPeer" ? [`${event.peer} ${event.code}`] : []));
  const assertWhole = (sample: SampleSnapshot) => {
    assert.ok(isComplete(), `complete: ${JSON.stringify(codes())}`);
    for (const [i, chunk] of sample.chunks.entries()) {
      assert.ok(Buffer.from(saved.get(i)!).equals(chunk), `chunk ${i}`);
    }
  };
  return { fetch, run, saved, events, served, isComplete, codes, assertWhole };
}

test("chunks come from several peers; the highest snapshot is taken", async () => {
  const low = sampleSnapshot(5, [set]);
  const high = sampleSnapshot(9, [set]);
  const scene = createScene({ a: { sample: low }, b: { sample: high }, c: { sample: high } });
  scene.fetch.begin(() => 0);
  await scene.run(60_000, scene.isComplete);
  scene.assertWhole(high);
  assert.deepEqual([...scene.served.keys()].sort(), ["b", "c"]);
  assert.ok(!scene.fetch.running);
});

test("a flipped byte in a chunk: that peer is left alone, the chunk comes from another", async () => {
  const sample = sampleSnapshot(5, [set]);
  const bend: Bend = (answer) => {
    if (answer.t !== "chunk") return answer;
    const bytes = answer.bytes.slice();
    bytes[77]! ^= 1;
    return { ...answer, bytes };
  };
  const scene = createScene({ a: { sample, bend }, b: { sample } });
  scene.fetch.begin(() => 0);
  await scene.run(60_000, scene.isComplete);
  scene.assertWhole(sample);
  assert.ok(scene.codes().includes("a SYNC_CHUNK"));
  assert.ok(scene.codes().every((text) => text.startsWith("a ")));
});

test("a silent peer, one that let the snapshot go, one with a bent manifest: the honest one is enough", async () => {
  const sample = sampleSnapshot(5, [set]);
  const scene = createScene({
    a: { sample, bend: (answer) => (answer.t === "chunk" ? undefined : answer) },
    b: {
      sample,
      bend: (answer) => (answer.t === "chunk" ? { ...answer, bytes: new Uint8Array(0) } : answer),
    },
    c: {
      sample,
      bend: (answer) =>
        answer.t === "manifest" ? { ...answer, manifest: answer.manifest.slice(0, -9) } : answer,
    },
    d: { sample },
  });
  scene.fetch.begin(() => 0);
  await scene.run(120_000, scene.isComplete);
  scene.assertWhole(sample);
  assert.ok(scene.codes().includes("a SYNC_TIMEOUT"));
});

test("what an earlier attempt saved is not asked for again", async () => {
  const sample = sampleSnapshot(5, [set]);
  const scene = createScene({ a: { sample } });
  scene.fetch.begin(() => 0);
  await scene.run(60_000, () => scene.saved.size > 0);
  scene.fetch.stop();
  const before = scene.saved.size;
  assert.ok(before < 3);
  const servedBefore = scene.served.get("a")!;
  scene.fetch.begin(() => 0);
  await scene.run(60_000, scene.isComplete);
  scene.assertWhole(sample);
  assert.ok(scene.served.get("a")! - servedBefore <= 3 - before);
});

test("a snapshot at or below the own height, or one that nobody certified, is never taken", async () => {
  const sample = sampleSnapshot(5, [set]);
  const foreign = sampleSnapshot(50, [sampleSet(["m", "n", "o", "p"])]);
  const scene = createScene({ a: { sample }, m: { sample: foreign } });
  let height = 4;
  scene.fetch.begin(() => height++);
  await scene.run(30_000, scene.isComplete);
  assert.ok(!scene.isComplete());
  assert.deepEqual(scene.saved.size, 0);
  assert.ok(scene.codes().includes("m SYNC_MANIFEST"));
  scene.fetch.stop();
});

test("messages survive their encoding; other bytes are refused as such", () => {
  const id = new Uint8Array(32).fill(7);
  const all: SnapshotMessage[] = [
    { t: "getOffers" },
    { t: "offers", lowest: 3, offers: [{ height: 9, id }] },
    { t: "getManifest", id },
    { t: "manifest", id, manifest: new Uint8Array(5) },
    { t: "getChunk", id, index: 70_000 },
    { t: "chunk", id, index: 2, bytes: new Uint8Array(9) },
  ];
  for (const message of all) {
    const bytes = encodeSnapshotMessage(message);
    assert.ok(isSnapshotMessage(bytes));
    assert.deepEqual(decodeSnapshotMessage(bytes), message);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        decodeSnapshotMessage(bytes);
      } catch (error) {
        assert.match((error as { code: string }).code, /^(SYNC|CBOR|FIELD|ENCODING)_/);
      }
    }),
  );
});

test("a peer that floods is answered a bounded number of times", async () => {
  const { clock, run } = createClock();
  let answers = 0;
  let flooded = 0;
  const serve = new SnapshotServe({
    transport: { send: () => void answers++ },
    clock,
    source: {
      lowest: 1,
      offers: [],
      manifest: async () => undefined,
      chunk: async () => undefined,
    },
    report: ({ t }) => {
      if (t === "flooded") flooded++;
    },
  });
  for (let i = 0; i < 1_000; i++) serve.receive("a", { t: "getOffers" });
  await run(0, () => true);
  for (let i = 0; i < 100; i++) await Promise.resolve();
  assert.equal(answers, 8);
  assert.equal(flooded, 992);
});

test("a snapshot whose holders are gone is given up for another", async () => {
  const first = sampleSnapshot(9, [set]);
  const second = sampleSnapshot(5, [set]);
  let isGone = false;
  const scene = createScene({
    a: {
      sample: first,
      bend: (answer) => {
        if (answer.t === "chunk") isGone = true;
        if (!isGone) return answer;
        return answer.t === "offers" ? { ...answer, offers: [] } : undefined;
      },
    },
    b: { sample: second },
  });
  scene.fetch.begin(() => 0);
  await scene.run(120_000, scene.isComplete);
  scene.assertWhole(second);
  assert.ok(!scene.fetch.running);
});

test("a lost link gives its chunks back", async () => {
  const sample = sampleSnapshot(5, [set]);
  let isDown = true;
  const scene = createScene({
    a: { sample, bend: (answer) => (answer.t === "chunk" && isDown ? undefined : answer) },
  });
  scene.fetch.begin(() => 0);
  await scene.run(2_000, () => scene.events.some((event) => event.t === "began"));
  scene.fetch.peerLost("a");
  isDown = false;
  await scene.run(5_000, scene.isComplete);
  scene.assertWhole(sample);
  assert.deepEqual(scene.codes(), [], "a lost link is no fault");
});

test("a snapshot of another history than the trust anchor's is never taken, by name", async () => {
  const sample = sampleSnapshot(5, [set]);
  const headerHash = sha256(utf8("another history"));
  const { ledgerId } = sample.trust;
  const anchor = { ledgerId, height: 5, headerHash, set: set.set };
  const scene = createScene({ a: { sample } }, anchor);
  scene.fetch.begin(() => 0);
  await scene.run(30_000, scene.isComplete);
  assert.ok(!scene.isComplete());
  assert.deepEqual(scene.saved.size, 0);
  assert.ok(scene.codes().includes("a SYNC_ANCHOR"));
  scene.fetch.stop();
});
