/** Goal: the figures of a benchmark mean what they are called. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { percentile, summarizeLatency } from "./percentiles.ts";
import {
  findProcessTree,
  readCpuSeconds,
  readFolderBytes,
  readResidentBytes,
} from "./process-usage.ts";

test("percentiles follow the nearest rank", () => {
  const sorted = Float64Array.from({ length: 100 }, (_, i) => i + 1);
  assert.equal(percentile(sorted, 0.5), 50);
  assert.equal(percentile(sorted, 0.99), 99);
  assert.equal(percentile(sorted, 1), 100);
  assert.equal(summarizeLatency([3, 1, 2]).p50Ms, 2);
});

const onLinux = { skip: process.platform === "linux" ? false : "reads /proc of Linux" };

test("CPU and memory of a process and its children are counted", onLinux, async () => {
  const script = "while (process.cpuUsage().user < 200_000); setTimeout(() => {}, 30_000);";
  const shell = spawn("/bin/sh", ["-c", `"${process.execPath}" -e '${script}'; true`], {
    stdio: "ignore",
    detached: true,
  });
  try {
    // On a busy machine the child gets its time late.
    const patience = performance.now() + 20_000;
    while (readCpuSeconds([shell.pid!]) <= 0.1 && performance.now() < patience) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const tree = findProcessTree([shell.pid!]);
    assert.ok(tree.length >= 2, "the shell and what it started");
    const seconds = readCpuSeconds([shell.pid!]);
    assert.ok(seconds > 0.1 && seconds < 3, `${seconds} s`);
    assert.ok(readResidentBytes(tree[1]!) > 10 * 1024 * 1024);
  } finally {
    process.kill(-shell.pid!, "SIGKILL");
  }
});

test("a folder weighs what its files take on disk", onLinux, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "hanse-bench-"));
  try {
    writeFileSync(path.join(folder, "file"), Buffer.alloc(1_000_000, 1));
    const bytes = readFolderBytes(folder);
    assert.ok(bytes >= 1_000_000 && bytes < 1_100_000, `${bytes} bytes`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
