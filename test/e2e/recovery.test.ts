/**
 * Goal: two of four validators are lost for good; three organizations sign the way out, and the
 * two that are left go on without losing anything. Method: real nodes, the command.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { countedTemplate, readNetworkStatus, readSets, runHanse, verifyOffline } from "@hanse/cli";
import { checkRecord, loadConfig } from "@hanse/node";
import { createTestNetwork } from "./harness/test-network.ts";
import { waitFor } from "./harness/waiting.ts";

test("a ledger that lost its quorum goes on by a signed document", {
  timeout: 600_000,
}, async (t) => {
  const network = await createTestNetwork(t, {
    template: countedTemplate("recovery", 4),
    nodeSettings: { ordering: { stalledMs: 1_500 } },
  });
  await network.up();
  await network.installEntries();
  const signer = network.account("org-1-admin").keyPair;
  const ledger = await network.client(0);
  const add = (label: string) =>
    ledger.submitCall(signer, { contract: "AddEntry", params: new Map([["Label", label]]) });
  const before = await add("before");
  await ledger.waitFinal(before);
  const [first, second, ...lost] = network.nodes;
  const left = [first!, second!];
  network.kill(...lost);
  const during = await add("during");
  await waitFor("the ledger stands still", async () => {
    const nodes = await readNetworkStatus(network.folder);
    const isEven = nodes[0]!.height === nodes[1]!.height;
    return nodes[0]!.health === "stalled" && isEven ? nodes : undefined;
  });

  const file = path.join(network.folder.folder, "way-out.recovery");
  const hanse = async (...args: string[]) => {
    let output = "";
    const take = { write: (text: string) => (output += text) };
    const code = await runHanse([...args, "--json"], {
      stdout: take,
      stderr: take,
      environment: { HANSE_DIR: network.folder.folder },
    });
    return { code, output };
  };
  const command = ["ledger", "recovery"];
  const members = left.map(({ id }) => id).join(",");
  const stranger = await hanse(
    ...command,
    "draft",
    file,
    "--members",
    "a/b",
    "--as",
    "org-1-admin",
  );
  assert.equal(stranger.code, 2);
  const draft = await hanse(...command, "draft", file, "--members", members, "--as", "org-1-admin");
  assert.equal(draft.code, 0, draft.output);
  for (const org of [1, 2]) {
    const signed = await hanse(...command, "sign", file, "--as", `org-${org}-admin`);
    assert.equal(signed.code, 0, signed.output);
  }
  const restart = async () => {
    network.kill(...left);
    process.env.HANSE_ORDERING_RECOVERY = file;
    try {
      await network.up(left);
    } finally {
      delete process.env.HANSE_ORDERING_RECOVERY;
    }
  };
  // Two of four organizations are not more than two thirds.
  await assert.rejects(restart(), /2 of 4 organizations signed/);
  const third = await hanse(...command, "sign", file, "--as", "org-3-admin", "--org", "org-3");
  const shown = await hanse(...command, "show", file);
  assert.equal(third.code, 0, third.output);
  const facts = JSON.parse(shown.output) as { height: number; signedBy: string[] };
  assert.deepEqual(facts.signedBy, ["org-1", "org-2", "org-3"]);

  await restart();
  const again = await network.client(0);
  await waitFor("what waited is final", async () => {
    const view = await again.transaction(during);
    return view.state === "final" ? view : undefined;
  });
  assert.equal((await again.transaction(before)).state, "final");
  const { now } = await readSets(again, signer);
  assert.deepEqual(
    [now.members.map(({ id }) => id).join(","), now.from],
    [members, facts.height + 1],
  );
  // The document is needed once: later starts know the epoch.
  network.kill(...left);
  await network.up(left);
  const after = await (await network.client(1)).submitCall(signer, {
    contract: "AddEntry",
    params: new Map([["Label", "after"]]),
  });
  await (await network.client(1)).waitFinal(after);
  const nodes = await readNetworkStatus(network.folder);
  assert.equal(nodes[0]!.stateRoot, nodes[1]!.stateRoot);

  // An outsider needs an anchor above; with it, what came after is proven as ever.
  const trust = path.join(network.folder.folder, "trusted.json");
  const anchored = await hanse(...command, "anchor", file, "-o", trust);
  assert.equal(anchored.code, 0, anchored.output);
  const receipt = path.join(network.folder.folder, "after.receipt");
  writeFileSync(receipt, await (await network.client(0)).receipt(after, [], signer));
  const verdict = await verifyOffline({ receipt, trust, documents: [] });
  assert.equal(verdict.ok, true, verdict.reason);
  const unaided = await verifyOffline({
    receipt,
    genesis: network.folder.genesisFile,
    documents: [],
  });
  assert.equal(unaided.ok, false, "the members of old never signed for the new ones");

  await network.down([first!]);
  const record = await checkRecord(loadConfig({ file: first!.configFile }).config);
  assert.deepEqual(record.differences, [], "the document leads from set to set");
});
