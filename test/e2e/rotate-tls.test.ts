/** Goal: `hanse node rotate-tls` changes the TLS key of a running node under load; nobody notices. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { countedTemplate, findRunningProcess, readNetworkStatus, runHanse } from "@hanse/cli";
import { readTlsIdentity } from "@hanse/network";
import { toHex } from "@hanse/protocol";
import { assertRecordedOnce, startEntryLoad } from "./harness/entry-load.ts";
import { createTestNetwork } from "./harness/test-network.ts";
import { waitFor, waitForAgreement } from "./harness/waiting.ts";

test("a key is rotated by the command, under load, without a restart", {
  timeout: 400_000,
}, async (t) => {
  const network = await createTestNetwork(t, { template: countedTemplate("rotate-tls", 4) });
  await network.up();
  await network.installEntries();
  const node = network.nodes[1]!;
  const keyFile = path.join(node.folder, "keys/tls.pem");
  const keyOf = (file: string) => toHex(readTlsIdentity(readFileSync(file, "utf8")).fingerprint);
  const before = keyOf(keyFile);
  const pid = findRunningProcess(node)?.pid;
  const signer = network.account("org-1-admin").keyPair;
  const load = await startEntryLoad(network, { nodes: [0, 1, 2, 3], signer, prefix: "entry" });
  await waitFor("entries are final", async () => load.final.size > 20);

  const rotate = (as: string) => {
    const words = ["node", "rotate-tls", "--config", node.configFile, "--as", as];
    return runHanse([...words, "--dir", network.folder.folder], {
      stdout: { write: () => true },
      stderr: { write: () => true },
    });
  };
  assert.equal(await rotate("org-1-admin"), 1, "another organization's administrator may not");
  assert.equal(keyOf(keyFile), before);
  assert.equal(await rotate("org-2-admin"), 0);
  await waitFor("the node has taken its new key", async () => keyOf(keyFile) !== before);
  assert.equal(keyOf(`${keyFile}.previous`), before);
  assert.ok(!existsSync(`${keyFile}.next`));

  const finalThen = load.final.size;
  await waitFor("the ledger goes on", async () => load.final.size > finalThen + 20);
  const links = await waitFor("all links stand", async () => {
    const nodes = await readNetworkStatus(network.folder);
    return nodes.every(({ peersConnected }) => peersConnected === 3) ? nodes : undefined;
  });
  assert.equal(links[1]!.pid, pid, "the same process");
  await load.stop();
  await waitForAgreement(network);
  await assertRecordedOnce(network, 1, load.accepted);
});
