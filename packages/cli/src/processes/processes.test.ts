/** Goal: no orphan is left and no foreign process is taken for ours. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { followLines, humanizeLogLine, readLastLines } from "./log-tail.ts";
import { commandLineOf, loadLiveProcess, saveProcessRecord } from "./process-record.ts";

const root = mkdtempSync(path.join(tmpdir(), "hanse-processes-"));
after(() => rmSync(root, { recursive: true, force: true }));

const LEAVE = path.join(import.meta.dirname, "leave-with-parent.mjs");

async function waitFor(what: string, check: () => boolean): Promise<void> {
  for (let i = 0; i < 2_400; i++) {
    if (check()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`not within 60 s: ${what}`);
}

test("an attached child stops in order when its parent is killed", async (t) => {
  const mark = path.join(root, "stopped");
  const childFile = path.join(root, "child.mjs");
  writeFileSync(
    childFile,
    `import { writeFileSync } from "node:fs";
     process.on("SIGTERM", () => { writeFileSync(${JSON.stringify(mark)}, "in order"); process.exit(0); });
     setInterval(() => {}, 1000);
     console.log("up");`,
  );
  const parentFile = path.join(root, "parent.mjs");
  writeFileSync(
    parentFile,
    `import { spawn } from "node:child_process";
     const child = spawn(process.execPath, ["--import", ${JSON.stringify(LEAVE)}, ${JSON.stringify(childFile)}],
       { detached: true, stdio: ["pipe", "inherit", "inherit"] });
     console.log("pid " + child.pid);
     setInterval(() => {}, 1000);`,
  );
  const parent = spawn(process.execPath, [parentFile], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => parent.kill("SIGKILL"));
  let output = "";
  parent.stdout.on("data", (chunk) => (output += chunk));
  await waitFor("both are up", () => /pid \d+/.test(output) && /up/.test(output));
  const childPid = Number(/pid (\d+)/.exec(output)![1]);
  parent.kill("SIGKILL");
  await waitFor("the child noticed", () => existsSync(mark));
  await waitFor("the child ended", () => commandLineOf(childPid) === "");
  assert.equal(readFileSync(mark, "utf8"), "in order");
});

test("a record is believed only while that very node runs under its id", () => {
  const file = path.join(root, "process.json");
  assert.equal(loadLiveProcess(file, "anything"), undefined);
  saveProcessRecord(file, { pid: process.pid, startedAt: 1, attached: true });
  assert.equal(loadLiveProcess(file, path.basename(import.meta.filename))?.pid, process.pid);
  assert.equal(loadLiveProcess(file, "/another/node.toml"), undefined, "the id was given anew");
  writeFileSync(file, '{"pid":');
  assert.equal(loadLiveProcess(file, path.basename(import.meta.filename)), undefined, "torn");
  writeFileSync(file, '{"pid":1}');
  assert.equal(loadLiveProcess(file, ""), undefined, "never the first process");
});

test("logs: the last lines, then what comes, in words", async () => {
  const file = path.join(root, "node.log");
  assert.deepEqual(readLastLines(file, 5), []);
  writeFileSync(file, "one\ntwo\nthree\n");
  assert.deepEqual(readLastLines(file, 2), ["two", "three"]);
  assert.deepEqual(readLastLines(file, 0), []);
  const seen: string[] = [];
  const controller = new AbortController();
  const following = followLines(file, (line) => seen.push(line), controller.signal);
  appendFileSync(file, "fo");
  appendFileSync(file, "ur\nfive\n");
  await waitFor("two new lines", () => seen.length === 2);
  controller.abort();
  await following;
  assert.deepEqual(seen, ["four", "five"]);
  assert.equal(
    humanizeLogLine('{"level":40,"time":0,"msg":"slow","height":7,"pid":1,"hostname":"h"}'),
    "00:00:00.000 warn  slow  height=7",
  );
  assert.equal(humanizeLogLine("plain"), "plain");
  assert.equal(
    humanizeLogLine(
      '{"level":60,"time":0,"msg":"no start: gone","err":{"message":"gone","stack":"at x"}}',
    ),
    "00:00:00.000 fatal no start: gone",
  );
  assert.equal(
    humanizeLogLine('{"level":50,"time":0,"msg":"closing failed","err":{"message":"gone"}}'),
    "00:00:00.000 error closing failed  reason=gone",
  );
  assert.equal(
    humanizeLogLine('{"level":50,"time":0,"msg":"alarm","cause":{"message":"gone","stack":"at"}}'),
    "00:00:00.000 error alarm  cause=gone",
  );
  assert.equal(
    humanizeLogLine('{"event":"ready","node":"a/n","api":"http://h:1","pid":7}'),
    "             ready api=http://h:1",
  );
});
