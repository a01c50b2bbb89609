/** Goal: every reason why a node takes nothing has its own code, and being merely busy is none. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { OrderingStatus } from "@hanse/ordering";
import {
  createKeyPair,
  createValidatorSet,
  readyKeyBackends,
  type ValidatorSet,
} from "@hanse/protocol";
import { createReadiness, type ReadinessSources } from "./readiness.ts";

let validators: ValidatorSet;
before(async () => {
  await readyKeyBackends();
  validators = createValidatorSet(
    ["a/n", "b/n", "c/n", "d/n"].map((id) => ({
      id,
      org: id[0]!,
      key: createKeyPair("ed25519").publicKey,
      vote: 1,
      propose: 1,
    })),
    "byzantine",
  );
});

const calm: OrderingStatus = {
  height: 100,
  view: 0,
  role: "follower",
  syncing: false,
  quarantined: undefined,
  stalledSince: undefined,
  peers: [
    { id: "b/n", connected: true, height: 105 },
    { id: "c/n", connected: true, height: 100 },
  ],
};

function make(status: Partial<OrderingStatus>, over: Partial<ReadinessSources> = {}) {
  return createReadiness({
    self: "a/n",
    validators: () => validators,
    ordering: () => ({ ...calm, ...status }),
    connected: () => ["b/n", "c/n"],
    failed: () => undefined,
    journalFailed: () => undefined,
    stopping: () => false,
    now: () => 1_000_000,
    startedAt: 0,
    ...over,
  });
}

const ahead = [{ id: "b/n", connected: true, height: 111 }];

test("each state has its code; the gravest comes first", () => {
  const cases: [Partial<OrderingStatus>, Partial<ReadinessSources>, string | undefined, string?][] =
    [
      [{}, {}, undefined],
      [{ syncing: true }, {}, undefined],
      [{ syncing: true, peers: ahead }, {}, "NODE_SYNCING", "syncing"],
      [{ stalledSince: 980_000 }, {}, "NODE_STALLED", "stalled"],
      [{ quarantined: "log-corrupt" }, {}, "NODE_QUARANTINED"],
      [{}, { connected: () => ["b/n"] }, "NODE_STALLED"],
      [{}, { connected: () => ["b/n"], startedAt: 995_000 }, "NODE_STARTING"],
      [{ quarantined: "x" }, { failed: () => "disk" }, "NODE_HALTED", "halted"],
      [{}, { journalFailed: () => "full" }, "NODE_JOURNAL_FAILED", "journalFailed"],
      [{}, { journalFailed: () => "full", failed: () => "disk" }, "NODE_HALTED", "halted"],
      [{}, { failed: () => "disk", stopping: () => true }, "NODE_STOPPING", "halted"],
    ];
  for (const [status, over, code, state] of cases) {
    const readiness = make(status, over);
    assert.equal(readiness.notReady()?.code, code);
    assert.equal(readiness.unavailable()?.state, state, code);
  }
});

test("the reason counts votes, not nodes", () => {
  const message = make({}, { connected: () => [] }).notReady()!.message;
  assert.match(message, /1 votes are connected, 3 are needed/);
});
