/**
 * Goal: a node looks for a snapshot exactly when blocks do not help, and an archive never trades its
 * blocks for one. Method: events of an engine, and what is sent to peers.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Ledger } from "@hanse/ledger";
import {
  decodeSnapshotMessage,
  type EngineEvent,
  encodeSnapshotMessage,
  type Transport,
} from "@hanse/ordering";
import type { StateView } from "@hanse/state";
import { loadConfig } from "../config/load-config.ts";
import { createLog } from "../log/create-log.ts";
import { createTestFolder, type TestNodeFolder } from "../testing/test-node.ts";
import { openHistory } from "./open-history.ts";

let folder: TestNodeFolder;
before(async () => {
  folder = await createTestFolder();
});
after(() => folder.remove());

interface Case {
  readonly keepBlocks?: number;
  readonly blocksMax?: number;
  readonly height?: number;
  readonly lowest?: number;
  readonly ordering?: "builtin" | "cometbft";
  readonly mayRestart?: boolean;
}

/** What the node asks its one peer after these events. */
async function askedAfter(events: readonly EngineEvent[], given: Case = {}): Promise<string[]> {
  const { height = 0, lowest = 1, mayRestart = true } = given;
  const { config } = loadConfig({ file: folder.configFile });
  const sent: string[] = [];
  let receive: Parameters<Transport["onMessage"]>[0] = () => {};
  const history = openHistory({
    config: {
      ...config,
      storage: { keepBlocks: given.keepBlocks ?? 0 },
      sync: { ...config.sync, snapshotEveryBlocks: 0, blocksMax: given.blocksMax ?? 100 },
    },
    genesis: { ...folder.genesis, ordering: given.ordering ?? "builtin" },
    ledgerId: folder.ledgerId,
    ledger: { tip: { height }, reads: {} } as unknown as Ledger,
    state: {} as StateView,
    history: {
      lowest,
      writeSnapshot: () => Promise.reject(new Error("none is written")),
      prune: () => Promise.reject(new Error("none is pruned")),
    },
    transport: {
      self: "self",
      send: (_to, _channel, bytes) => sent.push(decodeSnapshotMessage(bytes).t),
      broadcast: () => {},
      onMessage: (handler) => {
        receive = handler;
      },
      onPeer: () => {},
      peers: () => ["peer"],
    },
    clock: { now: () => 1, setTimer: () => ({ cancel() {} }) },
    count: () => {},
    log: createLog("silent", {}),
    onSnapshot: mayRestart ? () => {} : undefined,
  });
  for (const event of events) history.onEngineEvent(event);
  // It serves others whatever it looks for itself.
  receive("peer", "sync", encodeSnapshotMessage({ t: "getOffers" }));
  receive("peer", "sync", Uint8Array.of(0x82, 0x18, 0xff));
  receive("peer", "consensus", encodeSnapshotMessage({ t: "getOffers" }));
  await new Promise((resolve) => setImmediate(resolve));
  await history.stop();
  assert.equal(sent.filter((type) => type === "offers").length, 1, "one question was answered");
  return sent.filter((type) => type !== "offers");
}

const far: EngineEvent = { t: "syncing", from: 1, to: 500 };
const near: EngineEvent = { t: "syncing", from: 1, to: 50 };
const stranded: EngineEvent = { t: "stranded", from: 1, lowest: 40 };

test("far behind, or stranded: a snapshot is looked for; near: not", async () => {
  assert.deepEqual(await askedAfter([far]), ["getOffers"]);
  assert.deepEqual(await askedAfter([stranded]), ["getOffers"]);
  assert.deepEqual(await askedAfter([near]), []);
  assert.deepEqual(await askedAfter([near, stranded, stranded]), ["getOffers"]);
});

test("an archive with blocks keeps them; a pruned node, or one that joined by a snapshot, goes on", async () => {
  const behind = [far, stranded];
  assert.deepEqual(await askedAfter(behind, { height: 7 }), []);
  assert.deepEqual(await askedAfter(behind, { height: 7, keepBlocks: 64 }), ["getOffers"]);
  assert.deepEqual(await askedAfter(behind, { height: 70, lowest: 60 }), ["getOffers"]);
});

test("never, where that is set, where nothing restarts the node, or where another engine orders", async () => {
  for (const given of [
    { blocksMax: 0 },
    { mayRestart: false },
    { ordering: "cometbft" as const },
  ]) {
    assert.deepEqual(await askedAfter([far, stranded], given), [], JSON.stringify(given));
  }
});
