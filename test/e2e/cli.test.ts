/** Goal: the commands do what the README says, for people and for programs. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { choosePortBase, createTestFolder, ENTRIES_APP } from "./harness/test-network.ts";

const COMMAND = path.resolve(import.meta.dirname, "../../packages/cli/bin/hanse.mjs");

test("from an empty folder to a verified receipt by commands alone", {
  timeout: 600_000,
}, async (t) => {
  const root = createTestFolder(t);
  const dir = path.join(root, "net");
  const hanse = (...argv: string[]) => {
    const result = spawnSync(process.execPath, [COMMAND, ...argv, "--dir", dir], {
      encoding: "utf8",
      cwd: root,
      timeout: 300_000,
    });
    return { code: result.status, stdout: result.stdout, stderr: result.stderr };
  };
  const json = (...argv: string[]) => {
    const result = hanse(...argv, "--json");
    assert.equal(result.code, 0, `${argv.join(" ")}: ${result.stderr}`);
    return JSON.parse(result.stdout);
  };

  const created = json("network", "create", "--orgs", "2", "--port-base", String(choosePortBase()));
  assert.equal(created.nodes.length, 2);
  assert.equal(hanse("network", "status").code, 3, "nobody there yet");
  const up = hanse("network", "up");
  assert.equal(up.code, 0, up.stderr);
  assert.match(up.stdout, /org-1\/node-1 +ready/);
  t.after(() => hanse("network", "down"));
  const status = json("network", "status");
  assert.equal(status.answering, 2);

  const install = hanse("app", "install", ENTRIES_APP, "--as", "org-1-admin");
  assert.equal(install.code, 0, install.stderr);
  assert.match(install.stdout, /state +final/);
  const twice = hanse("app", "install", ENTRIES_APP, "--as", "org-1-admin");
  assert.equal(twice.code, 1);
  assert.match(twice.stdout + twice.stderr, /APP_INSTALLED|upgrade/);
  assert.deepEqual(
    json("app", "list", "--as", "org-1-admin").applications.map(
      (app: { name: string }) => app.name,
    ),
    ["entries"],
  );

  const person = hanse("account", "create", "paula", "--roles", "clerk", "--as", "org-2-admin");
  assert.equal(person.code, 0, person.stderr);
  const accounts = json("account", "list").accounts as { name: string; org: string }[];
  assert.equal(accounts.find((account) => account.name === "paula")?.org, "org-2");

  const document = path.join(root, "paper.txt");
  writeFileSync(document, "a paper worth recording\n");
  const call = json("call", "AddEntry", "--as", "paula", "--file", `Label=${document}`);
  assert.equal(call.state, "final");
  assert.equal(call.outcome.code, "ok");
  const failing = hanse("call", "FailOnLine", "--as", "paula", "-p", "Divisor=0");
  assert.equal(failing.code, 1);
  assert.match(failing.stdout, /failed .*FailOnLine|FailOnLine/s);
  const wrong = hanse("call", "AddEntry", "--as", "paula", "-p", "Lable=x");
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /Lable: AddEntry has no such field[\s\S]*Label/);
  const accepted = json("call", "AddEntry", "--as", "paula", "-p", "Label=later", "--no-wait");
  assert.equal(json("tx", "status", accepted.id, "--wait").outcome.code, "ok");
  assert.equal(String(json("query", "CountEntries", "--as", "paula")), "2");
  const rows = hanse("query", "table.rows", "--as", "paula", "-p", "table=entries");
  assert.equal(rows.code, 0, rows.stderr);

  const block = json("block", "show", String(call.height));
  assert.ok(block.transactionIds.includes(call.id));
  const genesis = path.join(dir, "genesis.json");
  const light = json("light", "sync", "--trust", "trusted.json", "--genesis", genesis);
  assert.equal(light.from, 0);
  assert.ok(light.height >= call.height);
  assert.ok(json("light", "sync", "--trust", "trusted.json").from >= light.height);
  const witness = status.nodes?.[1]?.apiUrl ?? created.nodes[1].apiUrl;
  const asked = ["--witness", witness, "--genesis", genesis];
  assert.ok(json("light", "sync", "--trust", "second.json", ...asked).height >= light.height);
  const notrust = hanse("light", "sync", "--trust", "absent.json");
  assert.equal(notrust.code, 1);
  assert.match(notrust.stderr, /begin with --genesis/);
  const unknown = hanse("tx", "status", "0".repeat(64));
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /LEDGER_TX_UNKNOWN/);

  const empty = path.join(root, "outside");
  mkdirSync(empty);
  const receipt = path.join(empty, "paper.receipt");
  json("proof", "export", call.id, "-o", receipt, "--file", document);
  writeFileSync(path.join(empty, "genesis.json"), readFileSync(path.join(dir, "genesis.json")));
  const down = json("network", "down");
  assert.deepEqual(
    down.nodes.map((node: { how: string }) => node.how),
    ["stopped", "stopped"],
  );
  const verify = (receiptFile: string, file: string) =>
    spawnSync(
      process.execPath,
      [COMMAND, "verify", "--receipt", receiptFile, "--genesis", "genesis.json", "--file", file],
      { encoding: "utf8", cwd: empty },
    );
  const good = verify("paper.receipt", document);
  assert.equal(good.status, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /Verified/);
  const byTrust = hanse("verify", "--receipt", receipt, "--trust", "trusted.json");
  assert.equal(byTrust.code, 0, byTrust.stdout + byTrust.stderr);
  const bytes = readFileSync(receipt);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path.join(empty, "changed.receipt"), bytes);
  const bad = verify("changed.receipt", document);
  assert.equal(bad.status, 1);
  assert.match(bad.stdout, /Refused/);
  writeFileSync(document, "a paper worth recording!\n");
  const changed = verify("paper.receipt", document);
  assert.equal(changed.status, 1);
  assert.match(changed.stdout, /named nowhere/);

  const gone = hanse("call", "AddEntry", "--as", "paula", "-p", "Label=x");
  assert.equal(gone.code, 3);
  assert.match(gone.stderr, /no node answers there; start it with/);
});
