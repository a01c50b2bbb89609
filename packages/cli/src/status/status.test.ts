/** Goal: what is shown of a network is what its nodes said, and a fork is never overlooked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import pc from "picocolors";
import { compareNodes, type NodeSnapshot } from "./node-snapshot.ts";
import { describeChanges, renderStatusTable, summarize } from "./render-status.ts";

const plain = pc.createColors(false);

function snapshot(id: string, change: Partial<NodeSnapshot> = {}): NodeSnapshot {
  return {
    id,
    apiUrl: "http://127.0.0.1:7400",
    pid: 1234,
    health: "ready",
    height: 7,
    stateRoot: "ab".repeat(32),
    peersConnected: 3,
    peersKnown: 3,
    links: [
      { id: "b/1", healthPpm: 998_000, roundTripMs: 1 },
      { id: "c/1", healthPpm: 870_000, roundTripMs: 80 },
    ],
    waiting: 0,
    reason: undefined,
    ...change,
  };
}

const silent = { health: "down", height: undefined, stateRoot: undefined, pid: undefined } as const;

test("nodes agree only at one height with one root", () => {
  assert.equal(compareNodes([snapshot("a/1"), snapshot("b/1")]).agree, true);
  const behind = compareNodes([snapshot("a/1"), snapshot("b/1", { height: 6, stateRoot: "00" })]);
  assert.deepEqual([behind.agree, behind.forked, behind.heightMin], [false, false, 6]);
  assert.equal(compareNodes([snapshot("a/1", silent)]).agree, false);
});

test("two roots at one height are a fork, whoever else is fine", () => {
  const nodes = [snapshot("a/1"), snapshot("b/1"), snapshot("c/1", { stateRoot: "cd".repeat(32) })];
  assert.equal(compareNodes(nodes).forked, true);
  assert.match(summarize(nodes, plain), /different state roots/);
});

test("the table names every node, shortens roots and gives reasons", () => {
  const text = renderStatusTable(
    [snapshot("a/1"), snapshot("b/1", { ...silent, reason: "its folder is in use" })],
    plain,
  );
  assert.match(text, /a\/1 +ready +7 +abababababab… +3\/3 +87 %/);
  assert.match(text, /b\/1 +down +- +-/);
  assert.match(text, /b\/1: its folder is in use/);
  assert.match(text, /1 of 2 nodes at height 7/);
});

test("without a terminal only changes are told", () => {
  const before = [snapshot("a/1"), snapshot("b/1")];
  assert.deepEqual(describeChanges(before, before), []);
  assert.deepEqual(describeChanges(before, [snapshot("a/1", { height: 9 }), snapshot("b/1")]), []);
  assert.deepEqual(describeChanges(before, [snapshot("a/1"), snapshot("b/1", silent)]), [
    "b/1 is down",
  ]);
});
