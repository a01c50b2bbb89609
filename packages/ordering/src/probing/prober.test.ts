/**
 * Goal: who is asked answers in time with its own signature or counts as away; the moments are the
 * prober's secret; nobody's message breaks or fills anything. Method: probers over a scripted
 * network in virtual time.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  type Bytes,
  createKeyPair,
  type KeyPair,
  readyKeyBackends,
  sha256,
  signMessage,
  verifySignature,
} from "@hanse/protocol";
import fc from "fast-check";
import type { Clock } from "../engine/interfaces.ts";
import { SLOTS } from "../policy/posr-params.ts";
import { isSnapshotMessage } from "../sync/snapshot-messages.ts";
import { listDuties, momentOf } from "./probe-duties.ts";
import {
  decodeProbeMessage,
  encodeProbeMessage,
  isProbeMessage,
  type ProbeMessage,
  probeMomentMessage,
} from "./probe-messages.ts";
import {
  ANSWER_MS_MAX,
  type EpochObservations,
  type ProbeEvent,
  Prober,
  type ProbingFacts,
  QUESTIONS_PER_SECOND,
} from "./prober.ts";

const ALL = 2 ** SLOTS - 1;
const EPOCH_BLOCKS = 24;
const BLOCK_MS = 1_000;
/** So that a node may lag without standing before the first block. */
const FIRST_EPOCH = 10;
const LEDGER = new Uint8Array(32).fill(9);
const IDS = ["a/n", "b/n", "c/n", "d/n"];
const pairs = new Map<string, KeyPair>();

before(async () => {
  await readyKeyBackends();
  IDS.forEach((id, i) => {
    pairs.set(id, createKeyPair("ed25519", new Uint8Array(32).fill(i + 1)));
  });
});

const hashAt = (height: number) => sha256(new Uint8Array([height & 255, height >> 8]));

/** Virtual time: `run` fires what falls due within it, in order. */
function createClock() {
  let now = 1_000;
  const timers = new Set<{ at: number; fire: () => void }>();
  const clock: Clock = {
    now: () => now,
    setTimer(ms, fire) {
      const timer = { at: now + ms, fire };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
  };
  function run(ms: number): void {
    const end = now + ms;
    for (;;) {
      const due = [...timers].sort((x, y) => x.at - y.at)[0];
      if (due === undefined || due.at > end) break;
      timers.delete(due);
      now = due.at;
      due.fire();
    }
    now = end;
  }
  return { clock, run };
}

/** What becomes of an answer on its way; undefined = it is lost. */
type Bend = (answer: Extract<ProbeMessage, { t: "answer" }>) => ProbeMessage | undefined;

interface Trouble {
  readonly bend?: Bend;
  readonly delayMs?: number;
  /** Blocks behind. */
  readonly lag?: number;
  readonly disconnected?: boolean;
}

function createScene(troubles: Readonly<Record<string, Trouble>> = {}) {
  const { clock, run } = createClock();
  let height = FIRST_EPOCH * EPOCH_BLOCKS;
  const delivered = new Map<string, EpochObservations[]>(IDS.map((id) => [id, []]));
  const events: ProbeEvent[] = [];
  const asked: { readonly from: string; readonly to: string; readonly at: number }[] = [];
  const probers = new Map<string, Prober>();
  const facts = (): ProbingFacts => {
    const epoch = Math.floor(height / EPOCH_BLOCKS);
    return {
      epoch,
      firstHeight: epoch * EPOCH_BLOCKS + 1,
      epochBlocks: EPOCH_BLOCKS,
      probers: 9,
      accounts: () => IDS.map((id) => ({ id, org: id[0]!, key: pairs.get(id)!.publicKey })),
    };
  };
  for (const id of IDS) {
    const own = troubles[id] ?? {};
    const prober = new Prober({
      ledgerId: LEDGER,
      self: id,
      clock,
      transport: {
        peers: () => IDS.filter((one) => one !== id && troubles[one]?.disconnected !== true),
        send(to, channel, bytes) {
          assert.equal(channel, "sync");
          let message: ProbeMessage | undefined = decodeProbeMessage(bytes);
          if (message.t === "probe") asked.push({ from: id, to, at: clock.now() });
          else if (own.bend !== undefined) message = own.bend(message);
          if (message === undefined) return;
          const sent = message;
          const wait = message.t === "answer" ? (own.delayMs ?? 10) : 10;
          clock.setTimer(wait, () => probers.get(to)?.receive(id, sent));
        },
      },
      sign: (message) => signMessage(pairs.get(id)!, message),
      verify: verifySignature,
      tip() {
        const at = Math.max(0, height - (own.lag ?? 0));
        return { height: at, hash: hashAt(at) };
      },
      deliver: (seen) => delivered.get(id)!.push(seen),
      report: (event) => events.push(event),
    });
    probers.set(id, prober);
  }
  return {
    probers,
    delivered,
    events,
    asked,
    run,
    blocks(count: number, given: () => ProbingFacts | undefined = facts) {
      for (let i = 0; i < count; i++) {
        height++;
        for (const prober of probers.values()) prober.onBlock(given());
        run(BLOCK_MS);
      }
    },
    /** Slots in which `from` saw `to` up. */
    sawUp(from: string, to: string) {
      const [seen] = delivered.get(from)!;
      const target = seen!.report.targets.find(({ id }) => id === to)!;
      assert.equal(target.asked, ALL, `${from} asked ${to} in every slot`);
      return target.answered;
    },
  };
}

test("every message is decoded as it was encoded, and no bytes do harm", () => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const place = { epoch: fc.nat(), slot: fc.nat(SLOTS - 1), challenge: hash };
  const message = fc.oneof(
    fc.record({ t: fc.constant("probe" as const), ...place }, { noNullPrototype: true }),
    fc.record(
      {
        t: fc.constant("answer" as const),
        ...place,
        tipHeight: fc.nat(),
        tipHash: hash,
        signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
      },
      { noNullPrototype: true },
    ),
  );
  fc.assert(
    fc.property(message, (given) => {
      const bytes = encodeProbeMessage(given);
      assert.ok(isProbeMessage(bytes) && !isSnapshotMessage(bytes));
      assert.deepEqual(decodeProbeMessage(bytes), given);
      for (const cut of [bytes.subarray(0, -1), new Uint8Array([...bytes, 0])]) {
        assert.throws(() => decodeProbeMessage(cut));
      }
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeProbeMessage(bytes);
      } catch (error) {
        assert.match((error as { code: string }).code, /^(PROBE|CBOR|FIELD|ENCODING)_/);
      }
    }),
  );
  const challenge = new Uint8Array(32);
  const late = encodeProbeMessage({ t: "probe", epoch: 1, slot: SLOTS, challenge });
  assert.throws(() => decodeProbeMessage(late), { code: "PROBE_MESSAGE" });
});

test("a moment lies within its slot, wherever the key puts it", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.nat(SLOTS - 1),
      fc.integer({ min: 8, max: 10_000 }),
      (challenge, slot, epochBlocks) => {
        const { blocks, part } = momentOf(challenge, slot, epochBlocks);
        const place = ((blocks + part) * SLOTS) / epochBlocks;
        assert.ok(place > slot - 1e-6 && place < slot + 1 + 1e-6);
        assert.ok(blocks < epochBlocks && part >= 0 && part < 1);
      },
    ),
  );
});

test("duties of all nodes together are what the ledger counts", () => {
  const accounts = Array.from({ length: 14 }, (_, i) => ({ id: `o${i}/n`, org: `o${i}` }));
  const all = accounts.flatMap(({ id }) => listDuties(accounts, 5, 9, id));
  assert.equal(all.length, accounts.length * SLOTS * 9);
  assert.deepEqual(listDuties(accounts, 5, 9, "stranger/n"), []);
});

test("all up: everyone reports everyone up, with what shows it", () => {
  const scene = createScene();
  scene.blocks(2 * EPOCH_BLOCKS);
  for (const from of IDS) {
    for (const to of IDS) if (to !== from) assert.equal(scene.sawUp(from, to), ALL);
    const [seen] = scene.delivered.get(from)!;
    for (const { target, slot, moment, answer } of seen!.observations) {
      const message = probeMomentMessage({
        ledgerId: LEDGER,
        epoch: FIRST_EPOCH,
        slot,
        prober: from,
        target,
      });
      assert.ok(verifySignature(pairs.get(from)!.publicKey, message, moment));
      assert.deepEqual(answer!.challenge, sha256(moment));
    }
  }
  assert.deepEqual(scene.events, []);
  // The moments differ from prober to prober: no target knows when it is asked.
  const times = (from: string) =>
    scene.asked.filter((one) => one.from === from && one.to === "a/n").map(({ at }) => at);
  assert.notDeepEqual(times("b/n"), times("c/n"));
});

test("deaf, slow, lagging, forked, cut off or impersonated: down; the others stay up", () => {
  const otherKey = createKeyPair("ed25519", new Uint8Array(32).fill(99));
  const cases: Record<string, Trouble> = {
    deaf: { bend: () => undefined },
    slow: { delayMs: ANSWER_MS_MAX },
    lagging: { lag: 5 },
    forked: { bend: (answer) => ({ ...answer, tipHash: new Uint8Array(32) }) },
    "cut off": { disconnected: true },
    impersonated: {
      bend: (answer) => ({ ...answer, signature: signMessage(otherKey, answer.challenge) }),
    },
    "of another question": { bend: (answer) => ({ ...answer, challenge: new Uint8Array(32) }) },
  };
  for (const [name, trouble] of Object.entries(cases)) {
    const scene = createScene({ "d/n": trouble });
    // The last answers are waited for in the next epoch.
    scene.blocks(EPOCH_BLOCKS + 4);
    for (const from of IDS.slice(0, 3)) {
      for (const to of IDS) {
        if (to !== from) assert.equal(scene.sawUp(from, to), to === "d/n" ? 0 : ALL, name);
      }
    }
  }
});

test("away for some slots: asks nothing for them, and reports the rest", () => {
  const scene = createScene();
  const away = scene.probers.get("a/n")!;
  scene.probers.delete("a/n");
  scene.blocks(EPOCH_BLOCKS / 2);
  scene.probers.set("a/n", away);
  scene.blocks(EPOCH_BLOCKS);
  const [seen] = scene.delivered.get("a/n")!;
  for (const { asked, answered } of seen!.report.targets) {
    assert.equal(asked & 0b1111, 0);
    assert.equal(asked & 0b111110000000, 0b111110000000);
    assert.equal(answered, asked);
  }
});

test("where nobody probes nothing is sent, and questions are not answered", () => {
  const scene = createScene();
  scene.blocks(3, () => undefined);
  const challenge = new Uint8Array(32);
  scene.probers.get("a/n")!.receive("b/n", { t: "probe", epoch: 0, slot: 0, challenge });
  scene.run(5_000);
  assert.deepEqual(scene.asked, []);
  assert.ok(scene.events.every(({ t }) => t === "unexpected"));
  assert.ok([...scene.delivered.values()].every((list) => list.length === 0));
});

test("a flood of questions, and questions of strangers, get a bounded number of signatures", () => {
  const { clock } = createClock();
  const sent: Bytes[] = [];
  let signed = 0;
  const events: ProbeEvent[] = [];
  const prober = new Prober({
    ledgerId: LEDGER,
    self: "a/n",
    clock,
    transport: { peers: () => [], send: (_to, _channel, bytes) => sent.push(bytes) },
    sign(message) {
      signed++;
      return signMessage(pairs.get("a/n")!, message);
    },
    verify: verifySignature,
    tip: () => ({ height: 1, hash: hashAt(1) }),
    deliver: () => {},
    report: (event) => events.push(event),
  });
  const accounts = () =>
    ["a/n", "b/n"].map((id) => ({ id, org: id[0]!, key: pairs.get(id)!.publicKey }));
  prober.onBlock({ epoch: 3, firstHeight: 1, epochBlocks: EPOCH_BLOCKS, probers: 9, accounts });
  signed = 0;
  const question = { t: "probe", epoch: 3, slot: 1, challenge: new Uint8Array(32) } as const;
  prober.receive("stranger/n", question);
  prober.receive("b/n", { ...question, epoch: 9 });
  assert.equal(signed, 0);
  for (let i = 0; i < 1_000; i++) prober.receive("b/n", question);
  assert.ok(signed <= QUESTIONS_PER_SECOND);
  assert.equal(sent.length, signed);
  assert.ok(events.some(({ t }) => t === "flooded"));
  prober.stop();
});
