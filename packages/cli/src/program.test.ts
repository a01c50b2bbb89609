/** Goal: every wrong command line gets a sentence with the way out and exit code 2. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import type { Command } from "commander";
import { createCompletionScript } from "./completion/completion-script.ts";
import { describeProgram, runHanse } from "./program.ts";

const root = mkdtempSync(path.join(tmpdir(), "hanse-cli-"));
after(() => rmSync(root, { recursive: true, force: true }));

async function hanse(...argv: string[]) {
  const out = { stdout: "", stderr: "" };
  const code = await runHanse(argv, {
    stdout: { write: (text) => (out.stdout += text) },
    stderr: { write: (text) => (out.stderr += text) },
    environment: { HANSE_DIR: path.join(root, "no-network") },
  });
  return { code, ...out };
}

test("wrong usage is exit code 2, with a suggestion where there is one", async () => {
  const cases: [string[], RegExp][] = [
    [["netwrok"], /unknown command 'netwrok'[\s\S]*network/],
    [["network", "statsu"], /unknown command 'statsu'[\s\S]*status[\s\S]*hanse network --help/],
    [["network", "create", "--slo"], /unknown option '--slo'[\s\S]*--solo/],
    [["network", "create", "--orgs", "0"], /orgs: expected a number from 1/],
    [["network", "create", "--orgs", "Court"], /orgs: "Court"/],
    [["network", "create", "--solo", "--orgs", "4"], /--solo and --orgs/],
    [["network", "create", "--quorum", "most"], /--quorum most: expected byzantine or crash/],
    [["network", "create", "--port-base", "ten"], /--port-base ten: expected a number/],
    [["tx", "status", "abc"], /transaction "abc": expected its id, 64 hexadecimal digits/],
    [["block", "show", "-1"], /height -1: expected a number from 1/],
    [["block", "show", "1.5"], /height 1.5: expected a whole number/],
    [["call"], /missing required argument 'contract'/],
    [["call", "X"], /--as: say who signs/],
    [["call", "X", "--as", "a", "--key", "b"], /--as and --key/],
    [["verify"], /required option '--receipt <file>'/],
    [["verify", "--receipt", "x"], /--genesis: say what you trust/],
    [["key", "create", path.join(root, "k.json"), "--algorithm", "rsa"], /expected ed25519, p256/],
    [["node", "check"], /required option '--config <file>'/],
    [["completion", "tcsh"], /expected bash, zsh, fish/],
    [["--timeout", "soon", "block", "show"], /--timeout soon/],
    [["network", "status", "--node", "http://"], /no network here|not a URL/],
  ];
  for (const [argv, message] of cases) {
    const { code, stderr } = await hanse(...argv);
    assert.match(stderr, message, argv.join(" "));
    assert.ok(code === 2 || /no network here/.test(stderr), `${argv.join(" ")}: ${code}`);
    assert.ok(!/\n\s+at .*:\d+:\d+/.test(stderr), `no stack trace: ${stderr}`);
  }
});

test("with --json an error is a document with code and exit code", async () => {
  for (const argv of [
    ["--json", "network", "statsu"],
    ["network", "statsu", "--json"],
  ]) {
    const { code, stdout, stderr } = await hanse(...argv);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    const { error } = JSON.parse(stderr);
    assert.deepEqual([error.code, error.exitCode], ["CLI_USAGE", 2]);
  }
});

test("nobody there is exit code 3, nothing there says how to make it", async () => {
  const away = await hanse("--node", "http://127.0.0.1:9", "block", "show");
  assert.equal(away.code, 3);
  assert.match(away.stderr, /http:\/\/127\.0\.0\.1:9: no node answers there/);
  const missing = await hanse("network", "status");
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /no network here; create one with `hanse network create/);
});

test("keys: created closed, shown without the secret, never overwritten", async () => {
  const file = path.join(root, "anna.json");
  const created = await hanse("key", "create", file, "--json");
  assert.equal(created.code, 0, created.stderr);
  const facts = JSON.parse(created.stdout);
  assert.match(facts.publicKey, /^ed25519:[0-9a-f]{64}$/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const { secretKey } = JSON.parse(readFileSync(file, "utf8"));
  const shown = await hanse("key", "show", file);
  assert.match(shown.stdout, new RegExp(facts.publicKey));
  assert.ok(!shown.stdout.includes(secretKey) && !created.stdout.includes(secretKey));
  const before = readFileSync(file, "utf8");
  const again = await hanse("key", "create", file);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /never overwritten/);
  assert.equal(readFileSync(file, "utf8"), before);
  for (const algorithm of ["p256", "secp256k1"]) {
    const other = path.join(root, `${algorithm}.json`);
    assert.equal((await hanse("key", "create", other, "--algorithm", algorithm)).code, 0);
    assert.match((await hanse("key", "show", other)).stdout, new RegExp(`${algorithm}:`));
  }
});

test("a network is created, listed by status as down, and its configuration printed", async () => {
  const dir = path.join(root, "net");
  const created = await hanse(
    "network",
    "create",
    "--orgs",
    "2",
    "--dir",
    dir,
    "--port-base",
    "25100",
  );
  assert.equal(created.code, 0, created.stderr);
  assert.match(created.stdout, /org-1\/node-1 +http:\/\/127\.0\.0\.1:25\d+/);
  assert.match(created.stdout, /accounts +org-1-admin, org-2-admin/);
  const status = await hanse("network", "status", "--dir", dir, "--json");
  assert.equal(status.code, 3);
  const report = JSON.parse(status.stdout);
  assert.deepEqual(
    report.nodes.map((node: { health: string }) => node.health),
    ["down", "down"],
  );
  const printed = await hanse("config", "print", "--dir", dir, "--node", "org-2");
  assert.equal(printed.code, 0, printed.stderr);
  assert.match(printed.stdout, /node\.id +org-2\/node-1 +file +HANSE_NODE_ID/);
  const down = await hanse("network", "down", "--dir", dir);
  assert.match(down.stdout, /org-1\/node-1 +was not running/);
  const logs = await hanse("network", "logs", "nobody", "--dir", dir);
  assert.equal(logs.code, 2);
  assert.match(logs.stderr, /it has org-1\/node-1, org-2\/node-1/);
});

test("a package is the same bytes each time", async () => {
  const folder = path.resolve(import.meta.dirname, "../../../examples/deeds");
  const one = path.join(root, "one.hanse-app");
  const two = path.join(root, "two.hanse-app");
  assert.equal((await hanse("app", "pack", folder, "-o", one)).code, 0);
  const packed = await hanse("app", "pack", folder, "-o", two, "--json");
  assert.equal(JSON.parse(packed.stdout).name, "deeds");
  assert.deepEqual(readFileSync(one), readFileSync(two));
  const none = await hanse("app", "pack", path.join(root, "nothing"));
  assert.match(none.stderr, /no such folder or package file/);
});

test("every command has help with a description", () => {
  const visit = (command: Command, words: string[]) => {
    assert.notEqual(command.description(), "", words.join(" "));
    assert.match(command.helpInformation(), /Usage: /);
    for (const sub of command.commands) visit(sub, [...words, sub.name()]);
  };
  visit(describeProgram(), ["hanse"]);
});

test("completion offers what fits the words before", () => {
  const bash = spawnSync("bash", ["--version"]);
  const script = createCompletionScript(describeProgram(), "bash");
  assert.match(script, /'network create'\) words='[^']*--solo/);
  assert.match(createCompletionScript(describeProgram(), "zsh"), /#compdef hanse/);
  assert.match(
    createCompletionScript(describeProgram(), "fish"),
    /__hanse_at 'network'.*-a create/,
  );
  if (bash.status !== 0) return;
  const file = path.join(root, "completion.bash");
  writeFileSync(file, script);
  const complete = (...words: string[]) =>
    execFileSync("bash", [
      "-c",
      `source ${file}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _hanse; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ])
      .toString()
      .trim()
      .split("\n");
  assert.deepEqual(complete("hanse", "netw"), ["network"]);
  assert.deepEqual(complete("hanse", "network", "cre"), ["create"]);
  assert.ok(complete("hanse", "--json", "network", "create", "--").includes("--solo"));
  assert.ok(!complete("hanse", "tx", "").includes("create"));
});

test("an older Node hands over to the pinned one", () => {
  const command = path.resolve(import.meta.dirname, "../bin/hanse.mjs");
  const old = ["/usr/bin/node", "/usr/local/bin/node"].find((file) => existsSync(file));
  const result = spawnSync(old ?? process.execPath, [command, "--version"], { encoding: "utf8" });
  assert.equal(result.status, 0, result.stderr);
  assert.match(result.stdout, /^\d+\.\d+\.\d+/);
});

test("npm start --help is help, not a mistake", () => {
  const start = path.join(import.meta.dirname, "main-job", "start.ts");
  for (const flag of ["--help", "-h"]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [start, flag], {
      encoding: "utf8",
    });
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /--port-base PORT/);
  }
});

test("pack refuses contracts that do not compile, with file, line and column", async () => {
  const folder = path.join(root, "broken-app");
  cpSync(path.join(import.meta.dirname, "../../../examples/deeds"), folder, { recursive: true });
  const output = path.join(root, "broken.hanse-app");
  const pack = (...more: string[]) => hanse("app", "pack", folder, "-o", output, ...more);
  assert.equal((await pack()).code, 0);
  rmSync(output);
  const file = path.join(folder, "contracts", "ShowDeed.sim");
  const whole = readFileSync(file, "utf8");
  const cases: [string, string[], number, RegExp][] = [
    ["action {", [], 1, /contracts\/ShowDeed\.sim: .*\[Ln:\d+ Col:\d+\].*NEEDLE_COMPILE/],
    ["action {\n Loan(1)", [], 1, /ShowDeed\.sim: .*Loan.*\[Ln:\d+ Col:2\].*--allow-missing/],
    ["action {\n Loan(1)", ["--allow-missing"], 0, /^$/],
  ];
  for (const [text, more, expected, message] of cases) {
    writeFileSync(
      file,
      whole.replace("action {", text).replace(text === "action {" ? /}\s*$/ : "", ""),
    );
    rmSync(output, { force: true });
    const { code, stderr } = await pack(...more);
    assert.match(stderr, message);
    assert.equal(code, expected, stderr);
    assert.equal(existsSync(output), expected === 0, "no file is left of what was refused");
  }
});

test("create writes the quorum that was asked for, and warns of sets that tolerate no failure", async () => {
  const cases = [
    [
      ["--orgs", "3"],
      "byzantine",
      0,
      /3 validators tolerate no failure.*4 or more, or --quorum crash/,
    ],
    [["--orgs", "3", "--quorum", "crash"], "crash", 1, undefined],
    [
      ["--orgs", "2", "--quorum", "crash"],
      "crash",
      0,
      /2 validators tolerate no failure.*3 or more/,
    ],
    [["--orgs", "4"], "byzantine", 1, undefined],
    [["--solo"], "byzantine", 0, /1 validator tolerates no failure/],
  ] as const;
  for (const [i, [argv, quorum, tolerated, warning]] of cases.entries()) {
    const dir = path.join(root, `quorum-${i}`);
    const create = ["network", "create", ...argv, "--dir", dir, "--port-base", "25000"];
    const { code, stdout, stderr } = await hanse(...create, "--json");
    assert.equal(code, 0, stderr);
    const told = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([told.quorum, told.toleratedFailures], [quorum, tolerated]);
    assert.match(String(told.warning), warning ?? /^undefined$/);
    const genesis = JSON.parse(readFileSync(path.join(dir, "genesis.json"), "utf8"));
    assert.equal(genesis.validators.quorum, quorum);
  }
});
