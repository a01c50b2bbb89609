/**
 * Goal: members over etcd keep one record through crashes, lost requests and a changed lead.
 * Method: real ledgers and engines in one process, etcd in memory with its unpleasant sides.
 */
import assert from "node:assert/strict";
import test from "node:test";
import {
  decodeBlock,
  decodeFinalityProof,
  encodeBlock,
  genesisValidatorSet,
  toHex,
  verifyAttestedProof,
} from "@hanse/protocol";
import { Life, until } from "../../../ledger/src/testing/ledger-cluster.ts";
import { createEtcdCluster, type EtcdCluster } from "../testing/etcd-ledgers.ts";
import { channelOf, encodeMessage, type WireMessage } from "../wire/messages.ts";

const alive = ({ members }: EtcdCluster) => members.filter(({ life }) => !life.dead);
const leaderOf = (cluster: EtcdCluster) =>
  alive(cluster).findIndex(({ engine }) => engine.status().role === "leader");
const heights = (cluster: EtcdCluster) => alive(cluster).map(({ node }) => node.ledger.tip.height);

async function assertOneRecord(cluster: EtcdCluster): Promise<void> {
  await until("one height and silence", () => {
    const [first, ...rest] = heights(cluster);
    const idle = alive(cluster).every(({ node }) => !node.ledger.hasWork());
    return idle && rest.every((height) => height === first);
  });
  const [first, ...rest] = alive(cluster);
  for (const { node, engine, id } of rest) {
    assert.equal(toHex(node.ledger.tip.hash), toHex(first!.node.ledger.tip.hash), id);
    assert.equal(toHex(node.ledger.tip.stateRoot), toHex(first!.node.ledger.tip.stateRoot), id);
    assert.equal(engine.status().quarantined, undefined);
  }
}

/** Every committed height is proven, by the word of more than half. */
async function assertProven(cluster: EtcdCluster): Promise<void> {
  const set = genesisValidatorSet(cluster.rig.genesis);
  for (const { store, node, id } of alive(cluster)) {
    for (let height = 1; height <= node.ledger.tip.height; height++) {
      const end = Date.now() + 60_000;
      let stored = await store.block(height);
      while ((stored === undefined || stored.certificate.length === 0) && Date.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        stored = await store.block(height);
      }
      assert.ok(
        stored !== undefined && stored.certificate.length > 0,
        `${id}: no proof of ${height}`,
      );
      const proof = decodeFinalityProof(stored.certificate, decodeBlock(stored.bytes).header);
      assert.ok(proof.kind === "attested");
      const verdict = verifyAttestedProof(proof, cluster.rig.ledgerId, set);
      assert.ok(verdict.ok, verdict.ok ? "" : verdict.reason);
    }
  }
}

async function withCluster(
  size: number,
  run: (cluster: EtcdCluster) => Promise<void>,
  tuning = {},
): Promise<void> {
  const cluster = await createEtcdCluster(size, tuning);
  try {
    await run(cluster);
  } finally {
    await cluster.stop();
  }
}

for (const size of [1, 3]) {
  test(`${size} member(s): submitted anywhere, final everywhere, proven`, () =>
    withCluster(size, async (cluster) => {
      for (let i = 0; i < 6; i++) await cluster.submit(i % size, `note-${i}`);
      await assertOneRecord(cluster);
      await assertProven(cluster);
      const finals = cluster.members[0]!.events.filter(({ t }) => t === "final");
      assert.equal(finals.length, cluster.members[0]!.node.ledger.tip.height);
    }));
}

test("a crashed leader is replaced; come back, it has the same record", () =>
  withCluster(3, async (cluster) => {
    await cluster.submit(0, "before");
    const leader = leaderOf(cluster);
    cluster.crash(leader);
    const other = (leader + 1) % 3;
    await cluster.submit(other, "without it");
    await cluster.submit((leader + 2) % 3, "still without it");
    await cluster.restart(leader);
    await cluster.submit(leader, "with it again");
    await assertOneRecord(cluster);
    await assertProven(cluster);
  }));

test("a request whose outcome is unknown is neither lost nor done twice", () =>
  withCluster(3, async (cluster) => {
    await cluster.submit(0, "first");
    for (const how of ["after", "before"] as const) {
      const leader = cluster.members[leaderOf(cluster)]!;
      cluster.etcd.loseWrites(leader.id, how, 2);
      await cluster.submit(leader.index, `lost ${how}`);
    }
    await assertOneRecord(cluster);
  }));

test("a leader whose lease ended cannot write; its block gives way to its successor's", () =>
  withCluster(3, async (cluster) => {
    await cluster.submit(0, "first");
    const leader = cluster.members[leaderOf(cluster)]!;
    // It hears neither of the end of its lease nor of its successor.
    cluster.etcd.cut(leader.id);
    cluster.etcd.expire(leader.id);
    const others = cluster.members.filter(({ index }) => index !== leader.index);
    await cluster.submit(others[0]!.index, "by a successor");
    cluster.etcd.heal(leader.id);
    await cluster.submit(leader.index, "by whom it was cut from");
    await assertOneRecord(cluster);
  }));

test("a leader that its members do not hear gives the lead away", () =>
  withCluster(3, async (cluster) => {
    await cluster.submit(0, "first");
    const leader = cluster.members[leaderOf(cluster)]!;
    cluster.hub.cut(leader.id);
    const other = (leader.index + 1) % 3;
    const unheard = cluster.submit(leader.index, "unheard").catch(() => {});
    await cluster.submit(other, "heard");
    cluster.hub.heal(leader.id);
    const { ledger } = leader.node;
    await until("it follows again", () => ledger.tip.height >= 3);
    assert.equal(ledger.halted, undefined);
    cluster.crash(leader.index);
    await cluster.restart(leader.index);
    await unheard;
    await assertNoFork(cluster);
  }));

test("with a majority away it halts, says since when, and goes on", () =>
  withCluster(3, async (cluster) => {
    await cluster.submit(0, "first");
    cluster.crash(1);
    cluster.crash(2);
    await assert.rejects(cluster.submit(0, "waits", 1_500));
    await until("stalled", () => cluster.members[0]!.engine.status().stalledSince !== undefined);
    await cluster.restart(1);
    await cluster.submit(1, "goes on");
    await until(
      "no longer stalled",
      () => cluster.members[0]!.engine.status().stalledSince === undefined,
    );
    await cluster.restart(2);
    await assertOneRecord(cluster);
  }));

test("a member that ends at any call comes back to the same record", { timeout: 300_000 }, () =>
  withCluster(
    3,
    async (cluster) => {
      await cluster.submit(0, "first");
      let ended = 0;
      for (let calls = 1; calls <= 40; calls += 3) {
        // Whoever leads is struck half of the time.
        const victim = calls % 2 === 0 ? Math.max(0, leaderOf(cluster)) : calls % 3;
        const member = await cluster.restart(victim, calls);
        const by = (victim + 1) % 3;
        for (let i = 0; i < 3; i++) await cluster.submit(by, `note-${calls}-${i}`);
        if (member.life.dead) ended++;
        await cluster.restart(victim);
      }
      assert.ok(ended >= 8, `only ${ended} ends happened`);
      await assertOneRecord(cluster);
      await assertNoFork(cluster);
    },
    { leaseMs: 300, pollMs: 100, campaignStepMs: 20 },
  ),
);

test("all members lose power at once: what was final is there again", () =>
  withCluster(3, async (cluster) => {
    for (let i = 0; i < 3; i++) await cluster.submit(i, `note-${i}`);
    const root = cluster.members[0]!.node.ledger.tip.height;
    for (const index of [0, 1, 2]) cluster.crash(index);
    for (const index of [0, 1, 2]) await cluster.restart(index);
    for (const { node } of cluster.members) assert.ok(node.ledger.tip.height >= root - 4);
    await cluster.submit(2, "afterwards");
    await assertOneRecord(cluster);
    assert.ok(cluster.members[0]!.node.ledger.tip.height > root);
    await assertProven(cluster);
  }));

test("offers, words and answers of a stranger change nothing", () =>
  withCluster(3, async (cluster) => {
    await cluster.submit(0, "first");
    await assertOneRecord(cluster);
    const stranger = cluster.hub.connect("stranger/node-1", new Life());
    const { height } = cluster.members[0]!.node.ledger.tip;
    const stored = (await cluster.members[0]!.store.block(height))!;
    const { header, ...rest } = decodeBlock(stored.bytes);
    const next = { ...header, height: height + 1, parentHash: stored.hash };
    const forged = [next, { ...next, proposer: "stranger/node-1" }].map((made) =>
      encodeBlock({ header: made, ...rest }),
    );
    const hash = new Uint8Array(32);
    const signature = new Uint8Array(64);
    const messages: WireMessage[] = [
      ...forged.map((block): WireMessage => ({ t: "offer", term: 1_000_000, block, signature })),
      { t: "stored", height: height + 1, hash },
      { t: "block", block: forged[0]! },
      { t: "range", from: height + 1, blocks: [{ block: forged[0]!, proof: hash }] },
      { t: "attest", height: height + 1, blockHash: hash, stateRoot: hash, signature },
      { t: "attest", height: 2 ** 40, blockHash: hash, stateRoot: hash, signature },
      { t: "status", height: 2 ** 40 },
      { t: "getAttestations", from: 2 ** 40, to: 2 ** 40 },
    ];
    for (let round = 0; round < 300; round++) {
      for (const message of messages) {
        stranger.broadcast(channelOf(message), encodeMessage(0, message));
      }
    }
    for (let i = 0; i < 4; i++) await cluster.submit(i % 3, `note-${i}`);
    await assertOneRecord(cluster);
    await assertProven(cluster);
    const told = cluster.members[0]!.events.filter((e) => e.t === "alarm");
    assert.ok(told.length >= 1 && told.length < 5, `${told.length} alarms`);
  }));

test("records go when every member has them; who was away longer catches up from the others", () =>
  withCluster(
    3,
    async (cluster) => {
      await cluster.submit(0, "first");
      const away = (leaderOf(cluster) + 1) % 3;
      cluster.crash(away);
      const by = (away + 1) % 3;
      for (let i = 0; i < 14; i++) await cluster.submit(by, `note-${i}`);
      const records = () => [...cluster.etcd.entries.keys()].filter((key) => key.includes("/b/"));
      const height = () => Math.max(...heights(cluster));
      await until("few records", () => {
        cluster.members[by]!.engine.wake();
        return records().length < 6 && height() > 14;
      });
      await cluster.restart(away);
      await cluster.submit(away, "back");
      await assertOneRecord(cluster);
      await assertProven(cluster);
    },
    { recordsKeptMax: 2 },
  ));

test("a full etcd is given room back", () =>
  withCluster(3, async (cluster) => {
    await cluster.submit(0, "first");
    cluster.etcd.setOutOfSpace(true);
    await cluster.submit(1, "second");
    await assertOneRecord(cluster);
    const alarms = cluster.members.flatMap(({ events }) => events.filter((e) => e.t === "alarm"));
    assert.ok(alarms.some((alarm) => alarm.t === "alarm" && alarm.code === "ETCD_NO_SPACE"));
  }));

test("an order that went back, or that somebody else wrote, stops the members", async (t) => {
  await t.test("wiped", () =>
    withCluster(3, async (cluster) => {
      await cluster.submit(0, "first");
      await assertOneRecord(cluster);
      cluster.etcd.wipe();
      await until("all halted", () =>
        cluster.members.every(({ engine }) =>
          /ETCD_HISTORY_LOST/.test(engine.status().quarantined ?? ""),
        ),
      );
    }),
  );
  await t.test("rewritten", () =>
    withCluster(3, async (cluster) => {
      await cluster.submit(0, "first");
      await assertOneRecord(cluster);
      const record = [...cluster.etcd.entries.values()].find(({ key }) => key.includes("/b/"))!;
      const { height } = cluster.members[0]!.node.ledger.tip;
      const next = record.key.replace(/\d{16}$/, String(height + 1).padStart(16, "0"));
      // An old record at a new height.
      cluster.etcd.put(next, record.value);
      await cluster.submit(1, "goes round it", 1_500).catch(() => {});
      await assertNoFork(cluster);
    }),
  );
});

async function assertNoFork(cluster: EtcdCluster): Promise<void> {
  const least = Math.min(...heights(cluster));
  for (let height = 1; height <= least; height++) {
    const hashes = new Set<string>();
    for (const { store } of cluster.members) hashes.add(toHex((await store.block(height))!.hash));
    assert.equal(hashes.size, 1);
  }
}
