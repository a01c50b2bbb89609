/** Goal: who is proposed brings its proof by itself, once. Method: a governed ledger in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyPair } from "@hanse/protocol";
import pino from "pino";
import { createGovernedLedger } from "../../../modules/src/testing/governance-rig.ts";
import { openReadinessBringer } from "./bring-readiness.ts";

test("a proposed node and the members before a switch bring their proofs, one for each proposal", async () => {
  const g = await createGovernedLedger();
  const consensusKey = createKeyPair("ed25519", new Uint8Array(32).fill(9));
  assert.equal((await g.register("d", "node-2", consensusKey)).code, "ok");
  const { ledger, store, clock } = g.node;
  let sent = 0;
  const bringer = openReadinessBringer({
    identity: { ledgerId: g.rig.ledgerId, node: { id: "d/node-2" }, consensusKey } as never,
    account: g.person("d"),
    version: "2.3.4",
    engines: async () => ["etcd"],
    ledger: {
      submit(bytes) {
        sent++;
        return ledger.submit(bytes);
      },
      subscribe: (from) => ledger.subscribe(from),
      get tip() {
        return ledger.tip;
      },
    },
    state: store.state,
    clock,
    log: pino({ enabled: false }),
  });
  async function waiting(): Promise<void> {
    for (let i = 0; i < 400 && ledger.mempoolStats().count === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
  try {
    await g.block();
    const content = { id: "d/node-2", vote: 1, propose: 1 };
    const { id } = (await g.propose("a", "member.add", content)).result;
    await waiting();
    for (let i = 0; i < 4; i++) await g.block();
    const [proof] = g.query("readiness") as unknown as Record<string, unknown>[];
    assert.deepEqual(
      [proof!.node, proof!.version, proof!.engines],
      ["d/node-2", "2.3.4", ["etcd"]],
    );
    await g.approve("b", id as number);
    assert.equal((await g.approve("c", id as number)).result.executed, true);
    assert.equal(sent, 1);
    await g.block();
    await g.block();
    await g.propose("a", "engine.switch", { engine: "etcd", quorum: "crash", policy: "fixed" });
    await waiting();
    assert.equal(sent, 2, "a member brings it before a switch");
  } finally {
    bringer.stop();
  }
});
