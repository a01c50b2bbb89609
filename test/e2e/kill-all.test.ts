/** Goal: all four killed at once: everything that was called final is there, accepted work too. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { countedTemplate } from "@hanse/cli";
import { assertRecordedOnce, startEntryLoad } from "./harness/entry-load.ts";
import { createTestNetwork } from "./harness/test-network.ts";
import { waitFor, waitForAgreement } from "./harness/waiting.ts";

test("all four killed at once under load, twice", { timeout: 400_000 }, async (t) => {
  const network = await createTestNetwork(t, { template: countedTemplate("kill-all", 4) });
  await network.up();
  await network.installEntries();
  const signer = network.account("org-1-admin").keyPair;
  const owed = new Map<string, string>();
  const heights = new Map<string, number>();
  for (const round of [1, 2]) {
    const load = await startEntryLoad(network, {
      nodes: [0, 1, 2, 3],
      signer,
      prefix: `round-${round}`,
    });
    await waitFor("entries are final", async () => load.final.size > 100);
    network.kill(...network.nodes);
    await load.stop();
    assert.ok(load.accepted.size > load.final.size || load.final.size > 100);
    for (const [label, id] of load.accepted) owed.set(label, id);
    for (const [label, height] of load.final) heights.set(label, height);
    await network.up();
  }
  for (const node of [0, 1, 2, 3]) await assertRecordedOnce(network, node, owed);
  await waitForAgreement(network);
  const ledger = await network.client(2);
  for (const [label, height] of heights) {
    const view = await ledger.transaction(owed.get(label)!);
    assert.equal(view.height, height, `${label}: final stays in its block`);
  }
  t.diagnostic(`${owed.size} accepted, ${heights.size} called final before the kills`);
});
