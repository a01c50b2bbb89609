/**
 * Goal: kill -9 of one of four nodes under load loses nothing and doubles nothing, does not stop
 * the others, and the killed one comes back to the same state root.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { countedTemplate, readNetworkStatus } from "@hanse/cli";
import { assertRecordedOnce, startEntryLoad } from "./harness/entry-load.ts";
import { createTestNetwork } from "./harness/test-network.ts";
import { pause, waitFor, waitForAgreement } from "./harness/waiting.ts";

for (const withDatabase of [true, false]) {
  const what = withDatabase ? "node and database" : "the node alone, its database orphaned";
  test(`kill -9 of ${what}`, { timeout: 400_000 }, async (t) => {
    const network = await createTestNetwork(t, { template: countedTemplate("kill-one", 4) });
    await network.up();
    await network.installEntries();
    const victim = network.nodes[3]!;
    const signer = network.account("org-1-admin").keyPair;
    const victimSigner = network.account("org-4-admin").keyPair;
    const load = await startEntryLoad(network, { nodes: [0, 1, 2], signer, prefix: "others" });
    const own = await startEntryLoad(network, {
      nodes: [3],
      signer: victimSigner,
      prefix: "victim",
    });
    await waitFor("entries are final", async () => load.final.size > 20 && own.final.size > 3);
    if (withDatabase) network.kill(victim);
    else network.killNodeAlone(victim);
    const finalAtKill = load.final.size;
    await waitFor("the others go on", async () => load.final.size > finalAtKill + 30);
    const [status] = await readNetworkStatus(network.folder);
    assert.equal(status!.health, "ready", "three of four are enough");

    await network.up([victim]);
    await waitFor("the killed one takes entries again", async () => {
      const client = await network.client(3);
      const id = await client.submitCall(victimSigner, {
        contract: "AddEntry",
        params: new Map([["Label", "back"]]),
      });
      return (await client.waitFinal(id)).outcome!.code === "ok";
    });
    await pause(200);
    await load.stop();
    await own.stop();
    assert.ok(load.accepted.size > 50 && own.accepted.size > 3);
    await waitForAgreement(network);
    // What the victim had accepted before it died is journaled: it is owed as well.
    for (const node of [0, 3]) {
      await assertRecordedOnce(network, node, load.accepted);
      await assertRecordedOnce(network, node, own.accepted);
    }
    t.diagnostic(`${load.accepted.size + own.accepted.size} entries recorded once each`);
  });
}
