/**
 * Goal: killed at any moment, the node or its PostgreSQL, the store comes back with every block that
 * it had acknowledged, and with the same root as a run that was never killed. Method: a process that
 * commits in a loop is killed 20 times at random moments; each start checks all tables against the
 * root; roots are compared with an undisturbed run in memory.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import test from "node:test";
import { toHex } from "@hanse/protocol";
import { createMemoryState, createOverlay, leavesOf, netChanges, StateTree } from "@hanse/state";
import { seed, stepsOf } from "../testing/commit-loop.ts";

const ROUNDS = 20;

/** Roots of the first heights, by a run that no one kills. */
function expectedRoots(count: number): string[] {
  const state = createMemoryState();
  const tree = new StateTree();
  const sequences = new Map<string, bigint>();
  return Array.from({ length: count }, (_, height) => {
    const overlay = createOverlay(state, height);
    for (const [i, step] of (height === 0 ? [seed] : stepsOf(height)).entries()) {
      overlay.begin(i);
      step(overlay);
    }
    const changes = overlay.changes();
    state.apply(height, changes);
    return toHex(tree.update(leavesOf(netChanges(changes), sequences)));
  });
}

interface Round {
  readonly start: readonly [number, string];
  readonly committed: readonly (readonly [number, string])[];
}

/** Kills the victim so long after so many commits. */
function run(
  dir: string,
  victim: "node" | "postgres",
  { commits, afterMs }: { readonly commits: number; readonly afterMs: number },
): Promise<Round> {
  const child = spawn(
    process.execPath,
    [path.join(import.meta.dirname, "../testing/commit-loop.ts"), dir],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let postgres = 0;
  let start: readonly [number, string] | undefined;
  const committed: (readonly [number, string])[] = [];
  let isArmed = false;
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [kind, number, root = ""] = line.split(" ");
    if (kind === "P") postgres = Number(number);
    if (kind === "C") committed.push([Number(number), root]);
    if (kind === "S") start = [Number(number), root];
    if (isArmed || start === undefined || committed.length < commits) return;
    isArmed = true;
    setTimeout(() => {
      if (victim === "node") child.kill("SIGKILL");
      else process.kill(postgres, "SIGKILL");
    }, afterMs);
  });
  return new Promise((resolve, reject) => {
    child.on("close", (code) => {
      if (start === undefined) reject(new Error(`no start (${code}): ${errors}`));
      // A node that lost its database stops by itself, with a code.
      else if (victim === "postgres" && code !== 3)
        reject(new Error(`ended with ${code}: ${errors}`));
      else resolve({ start, committed });
    });
  });
}

test(`${ROUNDS} kills: nothing acknowledged is lost, every root is the same`, async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "hanse-crash-"));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  const roots: [number, string][] = [];
  let acknowledged = 0;
  let furthest = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const victim = round % 5 === 4 ? "postgres" : "node";
    // Now and then at once; else after some commits, on a slow machine too.
    const moment = { commits: round % 4 === 0 ? 0 : 2, afterMs: Math.random() * 250 };
    const { start, committed } = await run(dir, victim, moment);
    assert.ok(start[0] >= acknowledged, `started at ${start[0]}, ${acknowledged} was acknowledged`);
    // The block under way may have become durable without the news of it.
    assert.ok(
      start[0] <= furthest + 2,
      `started at ${start[0]}, at most ${furthest + 2} was tried`,
    );
    roots.push([...start], ...committed.map((one): [number, string] => [...one]));
    for (const [height] of committed) acknowledged = Math.max(acknowledged, height);
    furthest = Math.max(furthest, acknowledged, start[0]);
  }
  assert.ok(acknowledged > ROUNDS, `only ${acknowledged} blocks were committed`);
  const expected = expectedRoots(Math.max(...roots.map(([height]) => height)) + 1);
  for (const [height, root] of roots) assert.equal(root, expected[height], `root of ${height}`);
  // The last server is an orphan of a killed node: stopped by whoever comes next.
  const { startEmbeddedPostgres } = await import("../index.ts");
  const postgres = await startEmbeddedPostgres({ dir });
  await postgres.stop();
});
