/**
 * Goal: the page at a node's address shows what becomes final, works by keyboard and screen reader,
 * and loads nothing from elsewhere. Method: a real node, a real browser, axe-core.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";
import { soloTemplate } from "@hanse/cli";
import { chromium } from "playwright-core";
import { createTestNetwork } from "./harness/test-network.ts";
import { waitFor } from "./harness/waiting.ts";

const browserFile = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
const skip = existsSync(browserFile) ? false : `no Chromium at ${browserFile}; set CHROMIUM_BIN`;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

test("the page of a node, in a browser", { skip, timeout: 400_000 }, async (t) => {
  const network = await createTestNetwork(t, { template: soloTemplate("page") });
  await network.up();
  const { apiUrl } = network.nodes[0]!;
  const browser = await chromium.launch({ executablePath: browserFile, args: FLAGS });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(90_000);
  const elsewhere: string[] = [];
  const faults: string[] = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(apiUrl) && !request.url().startsWith("data:")) {
      elsewhere.push(request.url());
    }
  });
  page.on("pageerror", (error) => faults.push(error.message));

  await page.goto(`${apiUrl}/`);
  await page.getByText("in step with the others").waitFor();
  const heightShown = async () => Number(await page.locator("#height").textContent());
  const before = await heightShown();
  // What happens on the ledger appears without a reload.
  await network.installEntries();
  await waitFor("the height to grow on the page", async () => (await heightShown()) > before);
  assert.ok((await page.locator("#blocks tr").count()) >= 1);

  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  await page.evaluate(axe);
  const violations = await page.evaluate(
    `axe.run().then((result) => result.violations.map((one) => one.id + ": " + one.help))`,
  );
  assert.deepEqual(violations, []);

  await page.goto(`${apiUrl}/docs`);
  await page.getByText("/v1/transactions/batch").first().waitFor();
  assert.deepEqual(elsewhere, []);
  assert.deepEqual(faults, []);
});
