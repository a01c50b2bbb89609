/** Goal: old blocks go in steps, never what is needed, and never on an archive. Method: a counter. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import { createLog } from "../log/create-log.ts";
import { createPruner, KEEP_BLOCKS_MIN } from "./pruner.ts";

function scene(keepBlocks: number, neededFrom = () => Number.MAX_SAFE_INTEGER) {
  let lowest = 1;
  let counted = 0;
  const asked: number[] = [];
  const pruner = createPruner({
    async prune(below) {
      asked.push(below);
      const step = Math.min(100, Math.max(0, below - lowest));
      lowest += step;
      return step;
    },
    lowest: () => lowest,
    keepBlocks,
    neededFrom,
    count: (blocks) => {
      counted += blocks;
    },
    log: createLog("silent", {}),
  });
  /** Tells of a height; what it begins must end at `expected`. A decision falls at once. */
  async function commit(height: number, expected: number): Promise<void> {
    const before = asked.length;
    pruner.onCommitted(height);
    if (expected === lowest) assert.equal(asked.length, before, "nothing is begun");
    const end = performance.now() + 60_000;
    while (lowest < expected && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(lowest, expected);
  }
  return { pruner, commit, asked, counted: () => counted };
}

test("the newest stay, older ones go in steps, with some slack so that steps are worth it", async () => {
  const { pruner, commit, asked, counted } = scene(200);
  await commit(210, 1); // Not worth a step yet.
  await commit(550, 351);
  assert.ok(asked.length >= 4, "a hundred at a time");
  await pruner.stop();
  assert.equal(counted(), 350);
  await commit(2_000, 351); // After the end nothing goes.
});

test("an archive keeps all; a small setting keeps what peers that lag a little need", async () => {
  const archive = scene(0);
  await archive.commit(100_000, 1);
  assert.deepEqual(archive.asked, []);
  const small = scene(1);
  await small.commit(500, 500 - KEEP_BLOCKS_MIN + 1);
});

test("blocks above an offered snapshot stay", async () => {
  const { commit } = scene(100, () => 150);
  await commit(1_000, 150);
});

test("a database that refuses is told and asked again later", async () => {
  let calls = 0;
  const pruner = createPruner({
    async prune() {
      calls++;
      throw new HanseError("STORAGE_DISK_FULL", "unavailable", "full");
    },
    lowest: () => 1,
    keepBlocks: 64,
    neededFrom: () => Number.MAX_SAFE_INTEGER,
    count: () => assert.fail("nothing went"),
    log: createLog("silent", {}),
  });
  for (let height = 1_000; calls < 2; height++) {
    assert.ok(height < 3_000, "it is asked again");
    pruner.onCommitted(height);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await pruner.stop();
});
