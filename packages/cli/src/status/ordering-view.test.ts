/** Goal: what an operator reads of a ledger's order says who counts, how far, and what is to come. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createConsole } from "../output/console.ts";
import { type OrderingView, renderOrdering } from "./ordering-view.ts";

const { paint } = createConsole({ json: false, stdout: { write() {} }, colors: false });
const member = (id: string, propose = 1) => ({
  id,
  org: id.split("/")[0]!,
  key: `ed25519:${"00".repeat(32)}`,
  vote: 1,
  propose,
});
const members = [member("a/n"), member("b/n", 0), member("c/n"), member("d/n")];

const calm: OrderingView = {
  rules: {
    params: {},
    constitution: {},
    barred: ["b/n"],
    ordering: {
      engine: "builtin",
      engineEpoch: 1,
      since: 90,
      policy: "dpoa",
      policyParams: { start: 2 },
    },
    change: null,
    queue: [],
  },
  set: { from: 7, hash: "", quorum: "byzantine", members },
  next: undefined,
  votes: 4,
  quorum: 3,
  tolerates: 1,
  height: 101,
  view: 0,
  leader: "c/n",
  nextLeader: "d/n",
  stalledSince: undefined,
  recent: [
    {
      height: 100,
      proposer: "a/n",
      transactions: 9,
      views: 1,
      signers: 3,
      lateVotes: undefined,
      proofBytes: 283,
    },
    {
      height: 99,
      proposer: "d/n",
      transactions: 0,
      views: 2,
      signers: 3,
      lateVotes: 1,
      proofBytes: 283,
    },
  ],
  proposals: [],
};

const find = (text: string, pattern: RegExp) => assert.match(text, pattern);

test("engine, policy, quorum, leaders, members and the newest blocks", () => {
  const text = renderOrdering(calm, paint);
  find(text, /^engine +builtin, epoch 1, since height 90$/m);
  find(text, /^policy +dpoa \(start=2\)$/m);
  find(text, /^quorum +3 of 4 votes \(byzantine\): 1 may lie or fail$/m);
  find(text, /^height +101; leader c\/n, then d\/n$/m);
  find(text, /^b\/n +1 +0 \(barred\)$/m);
  find(text, /^c\/n +1 +1 +leads$/m);
  find(text, /^100 +a\/n +9 +1 +3 +- +283$/m);
  find(text, /^99 +d\/n +0 +2 +3 +1 +283$/m);
  assert.doesNotMatch(text, /stalled|change|on its way|PROPOSAL/);
});

test("what is decided and still to come, and what is wrong", () => {
  const text = renderOrdering(
    {
      ...calm,
      rules: {
        ...calm.rules,
        change: { at: 200, engineEpoch: 2, engine: "etcd", policy: "fixed", quorum: "crash" },
        queue: [
          { id: "d/n", vote: 0, propose: 0, at: 150 },
          { id: "a/n", vote: 2, propose: 1, at: 0 },
        ],
      },
      set: { ...calm.set, quorum: "crash" },
      next: { ...calm.set, from: 103, members: members.slice(0, 2) },
      view: 2,
      leader: undefined,
      nextLeader: undefined,
      stalledSince: 1_760_000_000_000,
      proposals: [
        {
          ...{
            id: 4,
            kind: "member.remove",
            content: { ids: ["d/n"] },
            org: "a",
            approvals: ["a"],
          },
          ...{ status: "open", proposedAt: 90, expiresAt: 10_090, note: "" },
        },
      ],
    },
    paint,
  );
  find(text, /^quorum .*1 may fail, none may lie$/m);
  find(text, /^change +after height 200: etcd, policy fixed, quorum crash$/m);
  find(text, /^height +101, attempt 3; leader known when it has proposed$/m);
  find(text, /^stalled +since 2025-10-09T/m);
  find(text, /^from height 103: a\/n 1\/1, b\/n 1\/0$/m);
  find(text, /^on its way: d\/n leaves, not before height 150$/m);
  find(text, /^on its way: a\/n vote 2, propose 1$/m);
  find(text, /^4 +member\.remove +\{"ids":\["d\/n"\]\} +a +a +open until 10090/m);
});
