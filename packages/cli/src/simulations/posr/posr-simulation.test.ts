/** Goal: the simulation shows its claims, the same for the same seed. Method: short runs, real files. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { runHanse } from "../../program.ts";
import { createSeededRandom } from "../seeded-random.ts";
import { nakamotoBound, nakamotoNumber } from "./concentration.ts";
import { rankCorrelation } from "./fairness.ts";
import { nodesOf, outagesByChance, PosrNetwork } from "./posr-network.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "hanse-simulate-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function hanse(...words: string[]) {
  let stdout = "";
  let stderr = "";
  const code = await runHanse(["simulate", "posr", ...words], {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
  });
  return { code, stdout, stderr };
}

function filesOf(dir: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(dir).map((name) => [name, readFileSync(path.join(dir, name), "utf8")]),
  );
}

describe("hanse simulate posr", () => {
  it("shows every claim in a short run, with tables and plots", async () => {
    const out = path.join(folder, "whole");
    const { code, stdout } = await hanse("--short", "--out", out, "--json");
    const { claims } = JSON.parse(stdout) as { claims: { name: string; holds: boolean }[] };
    assert.deepEqual(
      claims.filter((claim) => !claim.holds),
      [],
    );
    assert.equal(code, 0);
    assert.equal(claims.length, 7);
    const files = filesOf(out);
    assert.equal(Object.keys(files).filter((name) => name.endsWith(".svg")).length, 7);
    for (const [name, text] of Object.entries(files)) {
      if (!name.endsWith(".svg")) continue;
      assert.match(text, /^<svg /);
      assert.match(text, /aria-label="[XY]-axis/);
      assert.ok(!text.includes("NaN"), name);
      assert.ok(files["posr.md"]!.includes(name));
    }
  });

  it("writes the same bytes for the same seed, others for another", async () => {
    const runs = [];
    for (const [name, seed] of [
      ["a", "5"],
      ["b", "5"],
      ["c", "6"],
    ] as const) {
      const out = path.join(folder, name);
      await hanse("--short", "--seed", seed, "--only", "proposers,churn", "--out", out);
      runs.push(filesOf(out));
    }
    assert.deepEqual(runs[0], runs[1]);
    assert.notDeepEqual(runs[0], runs[2]);
  });

  it("names the claims when it is asked for another", async () => {
    const { code, stderr } = await hanse("--only", "luck", "--out", folder);
    assert.equal(code, 2);
    assert.match(stderr, /luck: no such claim; there are slander, availability/);
  });
});

describe("parts of the simulation", () => {
  it("correlates ranks", () => {
    assert.equal(rankCorrelation([1, 2, 3], [10, 20, 90]), 1);
    assert.equal(rankCorrelation([1, 2, 3], [3, 2, 1]), -1);
    assert.equal(rankCorrelation([1, 2, 3], [7, 7, 7]), 0);
    assert.ok(Math.abs(rankCorrelation([1, 2, 3, 4], [1, 2, 2, 4]) - 0.9487) < 1e-4);
  });

  it("counts the operators that hold more than a third", () => {
    assert.equal(nakamotoNumber([1, 1, 1]), 2);
    assert.equal(nakamotoNumber([4, 1, 1]), 1);
    assert.deepEqual([4, 13, 31].map(nakamotoBound), [2, 4, 5]);
  });

  it("makes outages as often as asked for", () => {
    const works = outagesByChance([0.9, 1, 0], 12, createSeededRandom(3));
    const up = [0, 0, 0];
    for (let slot = 0; slot < 50_000; slot++) {
      for (const node of [0, 1, 2]) if (works(node, slot)) up[node]!++;
    }
    assert.ok(Math.abs(up[0]! / 50_000 - 0.9) < 0.02);
    assert.deepEqual([up[1], up[2]], [50_000, 0]);
  });

  it("loses a dead member's turns after one epoch and its place after three (AT-2.3)", () => {
    const random = createSeededRandom(1);
    const network = new PosrNetwork({
      nodes: nodesOf(7),
      members: 7,
      params: { probing: 1 },
      works: (node, slot) => node !== 2 || slot < 5 * 12,
      random,
    });
    network.epochs(5);
    assert.ok(network.weight(2) > 0);
    network.epoch();
    assert.equal(network.weight(2), 0);
    assert.equal(network.set.members.length, 7);
    network.epochs(3);
    assert.equal(network.set.members.length, 6);
    assert.ok(!network.set.members.some(({ id }) => id === nodesOf(7)[2]!.id));
  });
});
