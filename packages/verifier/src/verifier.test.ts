import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { encodeGenesis, fromHex, genesisFromJson, sha256, toHex } from "@hanse/protocol";
import { type BundledFiles, bundleVerifier } from "../scripts/bundle.ts";
import { parseTrust, provenStatements, reportLines, verifyReceiptFile } from "./index.ts";

const vector = JSON.parse(
  readFileSync(new URL("../../protocol/vectors/receipt.json", import.meta.url), "utf8"),
);
const receipt = fromHex(vector.receipt);
const deed = { name: "deed.txt", bytes: fromHex(vector.document) };
const genesis = genesisFromJson(vector.genesis);
const utf8 = (text: string) => new TextEncoder().encode(text);

let folder: string;
let built: BundledFiles;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "hanse-verifier-"));
  built = await bundleVerifier(path.join(folder, "built"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("a document that the receipt names, one that it does not, and a changed one", async () => {
  const good = await verifyReceiptFile(receipt, { genesis }, [deed]);
  assert.equal(good.ok, true);
  assert.deepEqual(good.files[0]?.places, ["transaction", "row 1_deeds[3].digest"]);
  assert.equal(good.files[0]?.sha256, toHex(sha256(deed.bytes)));
  for (let at = 0; at < deed.bytes.length; at++) {
    const bytes = deed.bytes.with(at, deed.bytes[at]! ^ 1);
    const bad = await verifyReceiptFile(receipt, { genesis }, [deed, { name: "b", bytes }]);
    assert.equal(bad.ok, false);
    assert.match(bad.reason!, /^file b: .* named nowhere/);
  }
});

test("trust: genesis as JSON or CBOR, a trusted set, and what is neither", async () => {
  const trusts = [
    utf8(JSON.stringify(vector.genesis)),
    utf8(`\ufeff ${JSON.stringify(vector.genesis)}`),
    encodeGenesis(genesis),
    utf8(JSON.stringify(vector.trustedSets[0].trust)),
  ];
  for (const bytes of trusts) {
    assert.equal((await verifyReceiptFile(receipt, parseTrust(bytes))).ok, true);
  }
  const other = parseTrust(utf8(JSON.stringify(vector.otherGenesis)));
  assert.equal((await verifyReceiptFile(receipt, other)).ok, false);
  for (const text of ["", "{}", "[]", "null", "not JSON", '{"headerHash":1}']) {
    assert.throws(() => parseTrust(utf8(text)), { name: "HanseError" }, text);
  }
  assert.throws(() => parseTrust(receipt), { name: "HanseError" });
});

test("the report names every check and shows what is proven, with no control character", async () => {
  const verdict = await verifyReceiptFile(receipt, { genesis }, [deed]);
  const text = reportLines(verdict).join("\n");
  for (const { name } of verdict.checks) assert.ok(text.includes(name), name);
  assert.match(text, /Deed 3/);
  assert.match(text, /2023-11-14 22:13:23 UTC/);
  assert.match(
    text,
    /Verified\. The receipt of network sample, ledger main holds\. It names deed\.txt\.$/,
  );
  const titles = provenStatements(verdict).map(({ title }) => title);
  assert.ok(titles.includes("row 1_deeds[99] is absent"), titles.join());
  const hostile = { ...deed, name: "a\u001b[2Jb\u202ec" };
  const escaped = reportLines(await verifyReceiptFile(receipt, { genesis }, [hostile])).join("\n");
  assert.ok(!escaped.includes("\u001b") && !escaped.includes("\u202e"));
});

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built program alone in an empty folder with an empty environment. */
async function runProgram(program: string, args: readonly string[]): Promise<Run> {
  const cwd = mkdtempSync(path.join(folder, "empty-"));
  cpSync(program, path.join(cwd, "hanse-verify.mjs"));
  writeFileSync(path.join(cwd, "a.receipt"), receipt);
  writeFileSync(path.join(cwd, "bad.receipt"), receipt.with(2000, receipt[2000]! ^ 1));
  writeFileSync(path.join(cwd, "genesis.json"), JSON.stringify(vector.genesis));
  writeFileSync(path.join(cwd, "trust.json"), JSON.stringify(vector.trustedSets[1].trust));
  writeFileSync(path.join(cwd, "deed.txt"), deed.bytes);
  writeFileSync(path.join(cwd, "other.txt"), "another text");
  try {
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ["hanse-verify.mjs", ...args],
      { cwd, env: {} },
    );
    return { code: 0, stdout, stderr };
  } catch (thrown) {
    return thrown as Run;
  }
}

test("the built program verifies in an empty folder, and its exit status tells the verdict", async () => {
  const receiptArgs = ["--receipt", "a.receipt"];
  const good = await runProgram(built.program, [
    ...receiptArgs,
    "--genesis",
    "genesis.json",
    "--file",
    "deed.txt",
  ]);
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, /Verified\./);
  const set = await runProgram(built.program, [...receiptArgs, "--trust", "trust.json", "--json"]);
  assert.equal(set.code, 0, set.stderr);
  const json = JSON.parse(set.stdout);
  assert.equal(json.ok, true);
  assert.equal(json.facts.transaction.outcome.code, "ok");

  const genesisArgs = ["--genesis", "genesis.json"];
  const refused = await Promise.all([
    runProgram(built.program, ["--receipt", "bad.receipt", ...genesisArgs]),
    runProgram(built.program, [...receiptArgs, ...genesisArgs, "--file", "other.txt"]),
  ]);
  for (const { code, stdout } of refused) {
    assert.equal(code, 1);
    assert.match(stdout, /FAILED[\s\S]*Refused\. /);
  }
  const unusable = await Promise.all([
    runProgram(built.program, []),
    runProgram(built.program, receiptArgs),
    runProgram(built.program, [...receiptArgs, ...genesisArgs, "--trust", "trust.json"]),
    runProgram(built.program, [...receiptArgs, "--genesis", "trust.json"]),
    runProgram(built.program, [...receiptArgs, "--genesis", "deed.txt"]),
    runProgram(built.program, [...receiptArgs, "--genesis", "missing.json"]),
    runProgram(built.program, [...receiptArgs, ...genesisArgs, "--fiel", "x"]),
  ]);
  for (const { code, stderr } of unusable) {
    assert.equal(code, 2);
    assert.match(stderr, /^hanse-verify: .+/);
  }
});

test("the built module verifies with nothing from Node", async () => {
  const text = readFileSync(built.browserModule, "utf8");
  assert.doesNotMatch(text, /from\s*"node:|import\s*"node:/);
  const module: typeof import("./index.ts") = await import(pathToFileURL(built.browserModule).href);
  const verdict = await module.verifyReceiptFile(receipt, { genesis }, [deed]);
  assert.equal(verdict.ok, true, verdict.reason);
});

test("the page's script has no type errors", async () => {
  const tsc = fileURLToPath(new URL("../../../node_modules/.bin/tsc", import.meta.url));
  const project = fileURLToPath(new URL("../page", import.meta.url));
  await promisify(execFile)(tsc, ["-p", project]);
});

const chromium = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";

test("the page verifies from a local disk", {
  skip: existsSync(chromium) ? false : `no Chromium at ${chromium}; set CHROMIUM_BIN`,
}, async () => {
  const { chromium: launcher } = await import("playwright-core");
  const browser = await launcher.launch({
    executablePath: chromium,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  try {
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(pathToFileURL(built.page).href);
    const headline = page.locator("#headline");
    const choose = (label: RegExp, name: string, bytes: Uint8Array) =>
      page
        .getByLabel(label)
        .setInputFiles({ name, mimeType: "application/octet-stream", buffer: Buffer.from(bytes) });
    const becomes = async (text: string) => {
      await page.locator("#headline", { hasText: text }).waitFor({ timeout: 10_000 });
    };
    await becomes("Waiting for files");
    await choose(/^Receipt/, "a.receipt", receipt);
    await choose(/^Genesis/, "genesis.json", utf8(JSON.stringify(vector.genesis)));
    await becomes("Verified");
    assert.match((await page.locator("#facts").textContent()) ?? "", /Deed 3/);
    assert.ok((await page.locator("#checks tr").count()) > 15);
    await choose(/^Documents/, "deed.txt", deed.bytes);
    await page.locator("#checks", { hasText: "file deed.txt" }).waitFor({ timeout: 10_000 });
    assert.equal(await headline.textContent(), "Verified");

    await choose(/^Documents/, "other.txt", utf8("another text"));
    await becomes("Refused");
    assert.match((await page.locator("#sentence").textContent()) ?? "", /named nowhere/);
    await choose(/^Documents/, "deed.txt", deed.bytes);
    await becomes("Verified");
    await choose(/^Receipt/, "bad.receipt", receipt.with(2000, receipt[2000]! ^ 1));
    await becomes("Refused");
    assert.equal(await page.locator("#checks tr.failed").count(), 1);
    await choose(/^Genesis/, "x.json", utf8("{}"));
    await becomes("Cannot check");

    assert.deepEqual(problems, []);
    assert.deepEqual(
      asked.filter((url) => !url.startsWith("file:") && !url.startsWith("data:")),
      [],
    );
  } finally {
    await browser.close();
  }
});
