/** Goal: a node with a trust anchor starts on its history alone, and stops at any other. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import type { DecidedBlock, LedgerApp } from "@hanse/ordering";
import {
  HanseError,
  type Hash,
  sha256,
  type TrustedSet,
  trustedSetToJson,
  trustGenesis,
  utf8,
} from "@hanse/protocol";
import { loadConfig } from "../config/load-config.ts";
import { createTestFolder, type TestNodeFolder } from "../testing/test-node.ts";
import { guardByAnchor, loadAnchor } from "./trust-anchor.ts";

let folder: TestNodeFolder;
before(async () => {
  folder = await createTestFolder();
});
after(() => folder.remove());

const headerHash = sha256(utf8("block 7"));
const anchorOf = (): TrustedSet => ({ ...trustGenesis(folder.genesis), height: 7, headerHash });

test("the file is read as the light client writes it, and refused by name otherwise", () => {
  const { config } = loadConfig({ file: folder.configFile });
  const file = path.join(path.dirname(folder.configFile), "anchor.json");
  const load = (text: string) => {
    writeFileSync(file, text);
    return loadAnchor({ ...config, sync: { ...config.sync, trust: file } }, folder.ledgerId);
  };
  assert.equal(loadAnchor(config, folder.ledgerId), undefined);
  const anchor = anchorOf();
  assert.deepEqual(load(JSON.stringify(trustedSetToJson(anchor))), anchor);
  const other = { ...anchor, ledgerId: headerHash };
  const refusals: [string, RegExp][] = [
    ["{", /sync\.trust .*it is no JSON; get the file again/],
    ['{"version": 2}', /trust\.version/],
    [JSON.stringify(trustedSetToJson(other)), /it is of the ledger/],
  ];
  for (const [text, message] of refusals)
    assert.throws(() => load(text), { code: "NODE_ANCHOR", message });
});

test("a block at the anchor's height is the anchor's or is not executed", async () => {
  const executed: number[] = [];
  const app = {
    finalizeBlock: async ({ block }: DecidedBlock) => void executed.push(block.header.height),
  } as unknown as LedgerApp;
  assert.equal(guardByAnchor(app, undefined), app);
  const guarded = guardByAnchor(app, anchorOf());
  const finalize = (height: number, hash: Hash) =>
    guarded.finalizeBlock({ block: { header: { height } }, hash } as unknown as DecidedBlock);
  const other = sha256(utf8("another block 7"));
  await finalize(6, other);
  await assert.rejects(
    finalize(7, other),
    (error) => error instanceof HanseError && error.code === "NODE_ANCHOR_CONTRADICTED",
  );
  await finalize(7, headerHash);
  await finalize(8, other);
  assert.deepEqual(executed, [6, 7, 8]);
});
