/**
 * Goal: what is wrong with a node's folder or configuration is named at start, with the remedy, and
 * nothing is silently made anew.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { countedTemplate, type NodeEntry, soloTemplate } from "@hanse/cli";
import { createTestNetwork } from "./harness/test-network.ts";
import { waitFor } from "./harness/waiting.ts";

const NODE_PROGRAM = path.resolve(import.meta.dirname, "../../packages/node/src/main.ts");

/** Longest that a process may take until it says or does what it must. */
const BOUND_MS = 90_000;

/** Runs the node's program to its end, which must come by itself and soon. */
function runNode(configFile: string, ...flags: string[]) {
  return new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [NODE_PROGRAM, "--config", configFile, ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    const timer = setTimeout(() => child.kill("SIGKILL"), BOUND_MS);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

async function expectRefusal(
  node: NodeEntry,
  message: RegExp,
  ...flags: string[]
): Promise<string> {
  const { code, output } = await runNode(node.configFile, ...flags);
  assert.match(output, message);
  assert.ok(code !== null && code !== 0, `exit code ${code}: ${output}`);
  return output;
}

test("a second process on the same folder is refused", { timeout: 300_000 }, async (t) => {
  const network = await createTestNetwork(t, { template: soloTemplate("twice") });
  await network.up();
  const [node] = network.nodes;
  await expectRefusal(
    node!,
    /NODE_FOLDER_LOCKED[\s\S]*in use by process \d+|in use by process \d+[\s\S]*NODE_FOLDER_LOCKED/,
    "--api.port=0",
    "--network.port=0",
  );
  assert.equal((await network.client()).url, node!.apiUrl, "the first one is untouched");
});

test("an unknown configuration key fails with the nearest known one", {
  timeout: 300_000,
}, async (t) => {
  const network = await createTestNetwork(t, { template: soloTemplate("config") });
  const [node] = network.nodes;
  const good = readFileSync(node!.configFile, "utf8");
  writeFileSync(node!.configFile, good.replace(/^port = /m, "prot = "));
  await expectRefusal(node!, /api\.prot[\s\S]*did you mean api\.port\?/);
  writeFileSync(node!.configFile, good);
  await expectRefusal(node!, /--api\.prot[\s\S]*--api\.port/, "--api.prot=1");
  appendFileSync(node!.configFile, "\n[lgo]\nlevel = 'info'\n");
  await expectRefusal(node!, /lgo[\s\S]*did you mean log\?/);
  assert.equal(existsSync(path.join(node!.dataFolder, "postgres")), false, "nothing was begun");
});

test("wiped and foreign folders are named and stay as they are", {
  timeout: 400_000,
}, async (t) => {
  const network = await createTestNetwork(t, { template: soloTemplate("wiped") });
  const [node] = network.nodes;
  await network.up();
  await network.installEntries();
  await network.down();
  const { dataFolder } = node!;
  const kept = `${dataFolder}.kept`;

  renameSync(dataFolder, kept);
  await expectRefusal(node!, /NODE_FOLDER_MISSING[\s\S]*--rejoin/);
  assert.equal(existsSync(path.join(dataFolder, "node.json")), false, "not made anew");
  rmSync(dataFolder, { recursive: true, force: true });
  renameSync(kept, dataFolder);

  const database = path.join(dataFolder, "postgres");
  renameSync(database, `${database}.kept`);
  await expectRefusal(node!, /NODE_DATABASE_MISSING/);
  assert.equal(existsSync(database), false, "not made anew");
  renameSync(`${database}.kept`, database);

  const note = path.join(dataFolder, "node.json");
  const noteText = readFileSync(note, "utf8");
  writeFileSync(note, noteText.slice(0, 20));
  await expectRefusal(
    node!,
    /NODE_FOLDER_CORRUPT[\s\S]*node\.json|node\.json[\s\S]*NODE_FOLDER_CORRUPT/,
  );
  writeFileSync(note, noteText.replace("solo/node-1", "other/node-1"));
  await expectRefusal(node!, /NODE_FOLDER_FOREIGN/);
  writeFileSync(note, noteText);

  // Whole again, it goes on from where it was.
  await network.up();
  const client = await network.client();
  assert.ok((await client.block()).height > 0);
});

test("damaged signing state and logs are named, never skipped", { timeout: 400_000 }, async (t) => {
  const network = await createTestNetwork(t, { template: soloTemplate("damaged") });
  const [node] = network.nodes;
  await network.up();
  await network.installEntries();
  await network.down();
  const ordering = path.join(node!.dataFolder, "ordering");
  const whole = `${ordering}.whole`;
  cpSync(ordering, whole, { recursive: true });
  const files = readdirSync(ordering).filter((name) => !name.endsWith(".lock"));
  assert.ok(files.length > 0);

  // Every file damaged: no slot of the signing state is left to trust.
  for (const name of files) {
    const file = path.join(ordering, name);
    const bytes = readFileSync(file);
    for (let at = 0; at < bytes.length; at += 7) bytes[at]! ^= 0x55;
    writeFileSync(file, bytes);
  }
  const { code, output } = await runUntilQuarantine(node!);
  assert.match(output, /quarantine|ORDERING_|SIGN|corrupt|damaged|checksum/i);
  assert.ok(code !== 0 || /quarantine/i.test(output));

  rmSync(ordering, { recursive: true });
  cpSync(whole, ordering, { recursive: true });
  await network.up();
  assert.ok((await (await network.client()).block()).height > 0);
});

/** A node that may stay up in quarantine: stopped once it has said so. */
async function runUntilQuarantine(
  node: NodeEntry,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [NODE_PROGRAM, "--config", node.configFile], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const take = (chunk: Buffer) => {
    const knew = /quarantine/i.test(output);
    output += chunk.toString();
    if (!knew && /quarantine/i.test(output)) child.kill("SIGTERM");
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const timer = setTimeout(() => child.kill("SIGKILL"), BOUND_MS);
  const code = await ended;
  clearTimeout(timer);
  return { code, output };
}

test("an emptied node of four does not vote as if it never had", {
  timeout: 400_000,
}, async (t) => {
  const network = await createTestNetwork(t, { template: countedTemplate("amnesia", 4) });
  await network.up();
  await network.installEntries();
  const victim = network.nodes[3]!;
  await network.down([victim]);
  rmSync(path.join(victim.dataFolder, "ordering"), { recursive: true });
  const { output } = await runUntilQuarantine(victim);
  assert.match(output, /quarantine|ORDERING_|SIGN|missing|restore/i);
  const ledger = await network.client(0);
  await waitFor("the other three go on", async () => {
    const view = await ledger.execute(network.account("org-1-admin").keyPair, {
      contract: "AddEntry",
      params: new Map([["Label", "without the fourth"]]),
    });
    return view.state === "final";
  });
});
