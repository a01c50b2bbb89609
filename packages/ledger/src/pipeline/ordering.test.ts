/**
 * Goal: four ledgers with the built-in ordering engine keep one record; one that was away catches
 * up. Method: real engines over an in-memory transport and the real clock.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Channel,
  type Clock,
  createBuiltinEngine,
  createFixedPolicy,
  createSigningState,
  type OrderingEngine,
  openSigner,
  type Transport,
} from "@hanse/ordering";
import { genesisValidatorSet, signMessage, toHex, verifySignature } from "@hanse/protocol";
import {
  createRigGenesis,
  createRigNode,
  type ManualClock,
  type RigGenesis,
  type RigNode,
  signNote,
} from "../testing/ledger-rig.ts";
import { createMemoryDisk } from "../testing/memory-disk.ts";

const realClock: ManualClock = {
  now: () => Date.now(),
  setTimer(ms, fire) {
    const timer = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(timer) };
  },
  advance() {},
};

/** Links between nodes of one process; `cut` silences one of them. */
function createHub() {
  const handlers = new Map<string, (from: string, channel: Channel, message: Uint8Array) => void>();
  const peerHandlers = new Map<string, (peer: string, up: boolean) => void>();
  const silent = new Set<string>();
  function connect(self: string): Transport {
    const deliver = (to: string, channel: Channel, message: Uint8Array) => {
      const copy = message.slice();
      setImmediate(() => {
        if (silent.has(self) || silent.has(to)) return;
        handlers.get(to)?.(self, channel, copy);
      });
    };
    return {
      self,
      send: deliver,
      broadcast(channel, message) {
        for (const to of handlers.keys()) if (to !== self) deliver(to, channel, message);
      },
      onMessage: (handler) => void handlers.set(self, handler),
      onPeer: (handler) => void peerHandlers.set(self, handler),
      peers: () => [...handlers.keys()].filter((other) => other !== self && !silent.has(other)),
    };
  }
  return {
    connect,
    cut: (id: string) => void silent.add(id),
    heal(id: string) {
      silent.delete(id);
      for (const [self, up] of peerHandlers) if (self !== id) up(id, true);
      for (const self of handlers.keys()) if (self !== id) peerHandlers.get(id)?.(self, true);
    },
  };
}

interface Running {
  readonly node: RigNode;
  readonly engine: OrderingEngine;
  readonly id: string;
}

async function start(
  rig: RigGenesis,
  index: number,
  hub: ReturnType<typeof createHub>,
  clock: Clock,
): Promise<Running> {
  const node = await createRigNode(rig, { clock: realClock });
  const { id, key } = rig.genesis.nodes[index]!;
  const disk = createMemoryDisk();
  await createSigningState(disk, { ledgerId: rig.ledgerId, publicKey: key });
  const signer = openSigner({
    disk,
    id,
    publicKey: key,
    ledgerId: rig.ledgerId,
    sign: (message) => signMessage(rig.nodeKeys[index]!, message),
  });
  const inner = hub.connect(id);
  let toEngine: ((from: string, channel: Channel, message: Uint8Array) => void) | undefined;
  const transport: Transport = {
    ...inner,
    onMessage(handler) {
      toEngine = handler;
    },
  };
  inner.onMessage((from, channel, message) => {
    if (channel === "transactions") void node.ledger.incoming(message, from);
    else toEngine?.(from, channel, message);
  });
  node.ledger.onOutgoing((batch) => inner.broadcast("transactions", batch));
  const engine = createBuiltinEngine({
    ledgerId: rig.ledgerId,
    genesisSet: genesisValidatorSet(rig.genesis),
    genesisTime: rig.genesis.time,
    app: node.ledger,
    transport,
    disk,
    signer,
    clock,
    policy: createFixedPolicy(),
    blocks: node.store,
    verify: async (checks) => checks.map((c) => verifySignature(c.key, c.message, c.signature)),
    blockIntervalMsMin: rig.genesis.params.blockIntervalMsMin,
    blockBytesMax: rig.genesis.params.blockBytesMax,
  });
  node.ledger.onWork(() => engine.wake());
  await engine.start();
  return { node, engine, id };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = Date.now() + 60_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within 60 s: ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

for (const size of [1, 4]) {
  test(`${size} node(s): submitted anywhere, final everywhere, one state root`, async () => {
    const organizations = ["a", "b", "c", "d"].slice(0, size);
    const rig = await createRigGenesis({ organizations });
    const hub = createHub();
    const running = await Promise.all(organizations.map((_, i) => start(rig, i, hub, realClock)));
    const send = async (from: number, round: string) => {
      const notes = rig.people.map((person) =>
        signNote(person.pair, round, person.name, {
          ledgerId: rig.ledgerId,
          validUntil: Date.now() + 600_000,
        }),
      );
      const { ledger } = running[from]!.node;
      for (const result of await ledger.submitMany(notes.map((note) => note.bytes))) {
        assert.ok("id" in result, String(result));
      }
      for (const note of notes) {
        const status = await ledger.waitFor(note.id, "final", { timeoutMs: 60_000 });
        assert.ok(status.state === "final" && status.outcome.code === "ok");
      }
    };
    try {
      await send(0, "one");
      await send(size - 1, "two");
      if (size === 4) {
        hub.cut(running[3]!.id);
        await send(0, "three");
        await send(1, "four");
        hub.heal(running[3]!.id);
        await send(2, "five");
      }
      const first = running[0]!.node.ledger;
      await until("all at one height", () =>
        running.every(({ node }) => node.ledger.tip.height === first.tip.height),
      );
      for (const { node } of running) {
        assert.equal(toHex(node.ledger.tip.stateRoot), toHex(first.tip.stateRoot));
        assert.equal(node.ledger.halted, undefined);
        assert.deepEqual(node.alarms, []);
        await until("its pool is empty", () => node.ledger.mempoolStats().count === 0);
      }
    } finally {
      await Promise.all(running.map(({ engine }) => engine.stop("now")));
      await Promise.all(running.map(({ node }) => node.ledger.stop()));
    }
  });
}
