/** Goal: with two of four gone nothing becomes final, nothing forks, the status says so clearly. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compareNodes, countedTemplate, readNetworkStatus } from "@hanse/cli";
import { HanseError } from "@hanse/protocol";
import { assertRecordedOnce } from "./harness/entry-load.ts";
import { createTestNetwork } from "./harness/test-network.ts";
import { pause, waitFor, waitForAgreement } from "./harness/waiting.ts";

test("two of four killed: no progress, no fork, a clear word, then recovery", {
  timeout: 400_000,
}, async (t) => {
  const network = await createTestNetwork(t, {
    template: countedTemplate("kill-two", 4),
    nodeSettings: { ordering: { stalledMs: 2_000 } },
  });
  await network.up();
  await network.installEntries();
  const signer = network.account("org-1-admin").keyPair;
  const ledger = await network.client(0);
  const add = (label: string) =>
    ledger.submitCall(signer, { contract: "AddEntry", params: new Map([["Label", label]]) });
  const first = await add("before");
  await ledger.waitFinal(first);
  const killed = [network.nodes[2]!, network.nodes[3]!];
  network.kill(...killed);
  const accepted = new Map([["before", first]]);
  accepted.set("during", await add("during"));
  const stalled = await waitFor("the status says that the ledger is stalled", async () => {
    const nodes = await readNetworkStatus(network.folder);
    return nodes[0]!.health === "stalled" ? nodes : undefined;
  });
  assert.match(stalled[0]!.reason ?? "", /stall|final|validator/i);
  assert.equal(stalled[2]!.health, "down");
  const heights = stalled.slice(0, 2).map((node) => node.height);
  await pause(2_000);
  const later = await readNetworkStatus(network.folder);
  assert.deepEqual(
    later.slice(0, 2).map((node) => node.height),
    heights,
    "no progress",
  );
  assert.equal(compareNodes(later).forked, false);
  assert.equal((await ledger.transaction(accepted.get("during")!)).state, "waiting");
  // New work is refused with the reason and when to come back, not swallowed.
  await assert.rejects(add("refused"), (error) => {
    assert.ok(error instanceof HanseError);
    assert.equal(error.code, "LEDGER_STALLED");
    assert.equal(error.kind, "unavailable");
    assert.ok(Number(error.details.retryAfterSeconds) > 0);
    return true;
  });
  await network.up(killed);
  await waitFor("the waiting entry becomes final", async () => {
    const view = await ledger.transaction(accepted.get("during")!);
    return view.state === "final";
  });
  accepted.set("after", await add("after"));
  await ledger.waitFinal(accepted.get("after")!);
  await waitForAgreement(network);
  for (const node of [1, 3]) await assertRecordedOnce(network, node, accepted);
});
