/** Loss of quorum: who may sign the way out, and how nodes go on by it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HanseError, type PublicKey, sha256, toHex, utf8 } from "@hanse/protocol";
import fc from "fast-check";
import { EngineRig, type RigRule, rigSign } from "../testing/engine-rig.ts";
import {
  decodeRecovery,
  encodeRecovery,
  type RecoveryAuthority,
  type RecoveryDocument,
  type RecoveryPlan,
  recoveryMessage,
  tryDecodeRecovery,
  verifyRecovery,
} from "./recovery-document.ts";

const rig = new EngineRig(4, 1);
const admins = ["org-0", "org-1", "org-2", "org-3"].map((id) => {
  const key: PublicKey = { algorithm: "ed25519", bytes: sha256(utf8(`administrator of ${id}`)) };
  return { id, key, secret: sha256(utf8(`secret of ${id}`)) };
});
const authority: RecoveryAuthority = {
  ledgerId: rig.ledgerId,
  engineEpoch: 0,
  organizations: admins.map(({ id, key }) => ({ id, keys: [key] })),
  above: [2, 3],
};
const plan: RecoveryPlan = {
  ledgerId: rig.ledgerId,
  height: 7,
  blockHash: sha256(utf8("block")),
  stateRoot: sha256(utf8("state")),
  engineEpoch: 1,
  policy: "fixed",
  policyParams: {},
  set: rig.setWith([0, 1, 4]),
};

function signed(by: readonly number[], what: RecoveryPlan = plan): RecoveryDocument {
  return {
    ...what,
    signatures: by.map((i) => {
      const { id, key, secret } = admins[i]!;
      return { organization: id, key, signature: rigSign(secret, recoveryMessage(what)) };
    }),
  };
}

function reasonOf(document: RecoveryDocument, over: Partial<RecoveryAuthority> = {}): string {
  const verdict = verifyRecovery(document, { ...authority, ...over }, (check) => {
    const admin = admins.find(({ key }) => toHex(key.bytes) === toHex(check.key.bytes));
    return toHex(rigSign(admin!.secret, check.message)) === toHex(check.signature);
  });
  return verdict.ok ? "" : verdict.reason;
}

describe("recovery document", () => {
  it("comes back from its encoding, and bent bytes are refused by name", () => {
    const document = signed([0, 1, 2]);
    const bytes = encodeRecovery(document);
    assert.deepEqual(decodeRecovery(bytes), document);
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const bent = bytes.slice();
        bent[at % bent.length]! ^= mask;
        const other = tryDecodeRecovery(bent);
        if (other !== undefined) assert.notEqual(reasonOf(other), "");
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (noise) => {
        assert.throws(() => decodeRecovery(noise), HanseError);
      }),
    );
  });

  it("holds by more than two thirds of the organizations, each counted once", () => {
    assert.equal(reasonOf(signed([0, 1, 2])), "");
    assert.equal(reasonOf(signed([3, 2, 1, 0])), "");
    assert.match(reasonOf(signed([0, 1])), /2 of 4 organizations signed; more than 2\/3/);
    assert.match(reasonOf(signed([0, 0, 1, 1])), /2 of 4/);
    assert.match(reasonOf(signed([])), /0 of 4/);
  });

  it("is refused for another ledger or epoch, a stranger, another key, a changed word", () => {
    const good = signed([0, 1, 2]);
    assert.match(reasonOf(good, { ledgerId: sha256(utf8("other")) }), /another ledger/);
    assert.match(reasonOf(good, { engineEpoch: 1 }), /begins epoch 1, and 2 is the next/);
    assert.match(
      reasonOf(good, { organizations: authority.organizations.slice(1) }),
      /org-0 has no say/,
    );
    const [first, ...rest] = good.signatures;
    const foreign = { ...first!, key: admins[3]!.key };
    assert.match(
      reasonOf({ ...good, signatures: [foreign, ...rest] }),
      /no key of an administrator/,
    );
    assert.match(reasonOf({ ...good, height: 8 }), /signature of org-0 does not hold/);
    assert.match(reasonOf({ ...good, set: rig.setWith([0, 1]) }), /does not hold/);
  });
});

/** Four validators at some height, the last two lost for good. */
async function ruin(rule?: RigRule): Promise<{ rig: EngineRig; recovery: RecoveryDocument }> {
  const ruined = new EngineRig(4, 1);
  if (rule !== undefined) ruined.rule = rule;
  await ruined.startAll(4);
  await ruined.decide(3);
  await ruined.advance(1_000);
  for (const i of [2, 3]) {
    ruined.cut(i);
    await ruined.nodes[i]!.engine.stop("now");
    ruined.nodes[i]!.up = false;
  }
  const before = ruined.height;
  ruined.submit("nobody decides this");
  await ruined.advance(30_000);
  assert.equal(ruined.height, before, "two of four are no quorum");
  assert.ok(ruined.nodes[0]!.engine.status().stalledSince !== undefined);
  const last = ruined.nodes[0]!.ledger.heights.at(-1)!;
  const recovery: RecoveryDocument = {
    ...plan,
    ledgerId: ruined.ledgerId,
    height: last.height,
    blockHash: last.hash,
    stateRoot: last.stateRoot,
    set: ruined.setWith([0, 1, 4]),
    signatures: [],
  };
  return { rig: ruined, recovery };
}

describe("recovery", () => {
  it("goes on above the last final block with the new members, in a new epoch, and stays there", async () => {
    const { rig: ledger, recovery } = await ruin();
    const { height } = recovery;
    await ledger.start(0, { recovery });
    await ledger.start(1, { recovery });
    ledger.submit("go on");
    await ledger.advance(2_000);
    assert.equal(ledger.height, height, "all three of the new members are needed");
    // A machine that has never been here catches up through the end of the old epoch.
    await ledger.start(4, { recovery });
    await ledger.decide(3, "after");
    await ledger.advance(1_000);
    const blocks = ledger.nodes[0]!.ledger.heights;
    const first = blocks[height]!.block;
    assert.equal(first.header.engineEpoch, 1);
    assert.equal(toHex(first.header.validatorsHash), toHex(recovery.set.hash));
    assert.deepEqual(first.evidence, [encodeRecovery(recovery)], "for everyone to see");
    assert.equal(blocks[height - 1]!.block.header.engineEpoch, 0);
    for (const block of blocks.slice(height + 1)) assert.deepEqual(block.block.evidence, []);
    // Later starts need the document no more; a lost log asks for it again.
    await ledger.start(1);
    ledger.nodes[0]!.disk.files.clear();
    await ledger.start(0, { recovery });
    assert.equal(ledger.nodes[0]!.engine.status().quarantined, "signing-state-missing");
    await ledger.advance(3_000);
    const now = ledger.height;
    assert.ok(now >= height + 3);
    for (const i of [0, 1, 4]) {
      const node = ledger.nodes.find(({ id }) => id === ledger.members[i]!.id)!;
      assert.equal(node.ledger.heights.length, now);
      assert.ok(!node.events.some((event) => event.t === "halted"), node.id);
    }
    await ledger.stop();
  });

  it("keeps what the last block of the old epoch decided of its members void, also after a start", async () => {
    const last = (await ruin()).recovery.height;
    const { rig: ledger, recovery } = await ruin(({ header }) =>
      header.height === last ? { validatorUpdates: [{ ...rig.members[4]!, vote: 1 }] } : {},
    );
    assert.equal(recovery.height, last);
    for (const i of [0, 1, 4]) await ledger.start(i, { recovery });
    const three = () =>
      [0, 1, 4].map((i) => ledger.nodes.find(({ id }) => id === ledger.members[i]!.id)!);
    const isBegun = () => three().every((node) => node.ledger.heights.length > last);
    ledger.submit("the first of the epoch");
    for (let waited = 0; !isBegun() && waited < 200; waited++) await ledger.advance(10);
    for (const node of three()) {
      node.up = false;
      await node.engine.stop("now");
    }
    for (const i of [0, 1, 4]) await ledger.start(i);
    await ledger.decide(2, "after");
    await ledger.advance(2_000);
    const { heights } = ledger.nodes[0]!.ledger;
    assert.ok(heights.length >= last + 3);
    for (const { block } of heights.slice(last)) {
      assert.equal(toHex(block.header.validatorsHash), toHex(recovery.set.hash));
    }
    await ledger.stop();
  });

  it("survives ends and starts at any moment around it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(0, 1, 4), fc.nat(700)), { minLength: 4, maxLength: 12 }),
        async (ends) => {
          const { rig: ledger, recovery } = await ruin();
          const nodeOf = (i: number) =>
            ledger.nodes.find(({ id }) => id === ledger.members[i]!.id)!;
          for (const i of [0, 1, 4]) await ledger.start(i, { recovery });
          ledger.submit("go on");
          for (const [i, ms] of ends) {
            await ledger.advance(ms);
            // What was in the air is gone, what was committed and synced is not.
            nodeOf(i).up = false;
            await nodeOf(i).engine.stop("now");
            await ledger.advance(ms % 7);
            await ledger.start(i, { recovery });
            ledger.submit(`after ${ms}`);
          }
          await ledger.decide(2, "calm");
          await ledger.advance(10_000);
          const chains = [0, 1, 4].map((i) => nodeOf(i).ledger.heights);
          for (const chain of chains) {
            assert.equal(chain.length, ledger.height);
            for (const [at, { hash, block }] of chain.entries()) {
              assert.equal(toHex(hash), toHex(chains[0]![at]!.hash));
              assert.equal(block.header.engineEpoch, at < recovery.height ? 0 : 1);
            }
          }
          for (const { id, events, engine } of [0, 1, 4].map(nodeOf)) {
            assert.ok(!events.some((event) => event.t === "halted"), id);
            assert.equal(engine.status().quarantined, undefined);
          }
          await ledger.stop();
        },
      ),
      { numRuns: 8 },
    );
  });

  it("does not give the lost members their votes back", async () => {
    const { rig: ledger, recovery } = await ruin();
    for (const i of [0, 1, 4]) await ledger.start(i, { recovery });
    ledger.mend(2);
    ledger.mend(3);
    await ledger.start(2);
    await ledger.start(3);
    await ledger.decide(3, "after");
    await ledger.advance(5_000);
    for (const i of [0, 1, 4]) {
      const node = ledger.nodes.find(({ id }) => id === ledger.members[i]!.id)!;
      assert.ok(node.ledger.heights.length >= recovery.height + 3);
      for (const { block } of node.ledger.heights.slice(recovery.height)) {
        assert.equal(block.header.engineEpoch, 1);
      }
    }
    for (const i of [2, 3]) {
      assert.equal(ledger.nodes[i]!.ledger.heights.length, recovery.height, "they stay behind");
    }
    await ledger.stop();
  });

  it("is refused by a node that holds a later final block, or another one at its height", async () => {
    const { rig: ledger, recovery } = await ruin();
    await assert.rejects(
      ledger.start(0, { recovery: { ...recovery, height: recovery.height - 1 } }),
      { code: "ORDERING_RECOVERY_HEIGHT" },
    );
    await assert.rejects(
      ledger.start(0, { recovery: { ...recovery, stateRoot: sha256(utf8("other")) } }),
      { code: "ORDERING_RECOVERY_BLOCK" },
    );
    // Who catches up to it finds out there.
    await ledger.start(1);
    const wrong = { ...recovery, blockHash: sha256(utf8("other")) };
    const late = await ledger.start(4, { recovery: wrong });
    await ledger.advance(5_000);
    const halted = late.events.find((event) => event.t === "halted");
    assert.ok(halted?.t === "halted" && halted.code === "ORDERING_RECOVERY_BLOCK");
    await ledger.stop();
  });
});
