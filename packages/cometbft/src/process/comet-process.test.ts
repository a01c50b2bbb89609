/** Goal: CometBFT is found where it is, runs again when it ends, and is gone after a stop. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import {
  createCometProcess,
  findCometBinary,
  requireCometBinary,
  requireCometHome,
} from "./comet-process.ts";

/** A program in a folder of its own that stands in for CometBFT. */
function program(t: TestContext, script: string) {
  const folder = mkdtempSync(join(tmpdir(), "hanse-comet-process-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const binary = join(folder, "cometbft");
  writeFileSync(binary, `#!/bin/sh\n${script}\n`);
  chmodSync(binary, 0o700);
  return { folder, binary, logFile: join(folder, "comet.log") };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 6_000, `not within 60 s: ${what}`);
    await pause(10);
  }
}

test("the named program first, then PATH; a name that leads nowhere is none", (t) => {
  const { folder, binary } = program(t, "exit 0");
  assert.equal(findCometBinary({ COMETBFT_BIN: binary, PATH: "" }), binary);
  assert.equal(findCometBinary({ PATH: `/nowhere:${folder}` }), binary);
  assert.equal(findCometBinary({ COMETBFT_BIN: "/nowhere", PATH: folder }), undefined);
  assert.throws(() => requireCometBinary({ COMETBFT_BIN: "/nowhere" }), {
    code: "COMET_BINARY",
    message: /go install github\.com\/cometbft/,
  });
});

test("a folder that is not CometBFT's is named", () => {
  assert.throws(() => requireCometHome("/nowhere"), { code: "COMET_HOME", message: /comet\.home/ });
});

test("it is told where the application is, and begun again when it ends", async (t) => {
  const { folder, binary, logFile } = program(t, 'echo "$@"; exit 3');
  const events: string[] = [];
  const comet = createCometProcess({
    binary,
    home: folder,
    logFile,
    onChange: (event) => events.push(event),
  });
  comet.start("unix:///somewhere");
  await until("two ends", () => events.filter((event) => event === "ended").length >= 2);
  await comet.stop();
  const count = events.length;
  await pause(500);
  assert.equal(events.length, count, "nothing runs after a stop");
  assert.match(comet.failure ?? "", /exit code 3.*comet\.log/);
  const [line] = readFileSync(logFile, "utf8").split("\n");
  assert.equal(line, `start --home ${folder} --proxy_app unix:///somewhere`);
});

test("a stop ends it, also when it is suspended", async (t) => {
  const { folder, binary, logFile } = program(t, "exec sleep 60");
  const comet = createCometProcess({ binary, home: folder, logFile });
  comet.start("unix:///somewhere");
  await until("it runs", () => comet.pid !== undefined);
  const { pid } = comet;
  process.kill(pid!, "SIGSTOP");
  await comet.stop();
  assert.throws(() => process.kill(pid!, 0), { code: "ESRCH" });
});

test("a program that cannot be run is said, not thrown", async () => {
  const comet = createCometProcess({
    binary: "/nowhere/cometbft",
    home: "/nowhere",
    logFile: join(tmpdir(), `hanse-comet-none-${process.pid}.log`),
  });
  comet.start("unix:///somewhere");
  await until("the failure", () => comet.failure !== undefined);
  await comet.stop();
  assert.match(comet.failure!, /ENOENT/);
  rmSync(join(tmpdir(), `hanse-comet-none-${process.pid}.log`), { force: true });
});
