/**
 * What one block costs a set of validators in messages and bytes: the production engine of every
 * member in virtual time, links with a fixed delay, work without end.
 */
import { createPolicy } from "@hanse/ordering";
import { createValidatorSet, sha256, utf8 } from "@hanse/protocol";
import { KeyRing } from "../../test/simulation/keys.ts";
import { type Endpoint, Network } from "../../test/simulation/network.ts";
import { SimulatedNode } from "../../test/simulation/node.ts";
import { Random } from "../../test/simulation/random.ts";
import type { Channel, ValidatorId } from "../../test/simulation/wiring.ts";
import { World } from "../../test/simulation/world.ts";

export interface SetCost {
  readonly validators: number;
  readonly blocks: number;
  readonly blocksPerSecond: number;
  readonly messagesPerBlock: number;
  readonly bytesPerBlock: number;
  /** Sent by one member for one block. */
  readonly messagesPerValidator: number;
  readonly bytesPerValidator: number;
}

/** Transactions in each block, and bytes of each. */
export const BLOCK_TRANSACTIONS = 50;
export const TRANSACTION_BYTES = 200;
/** Blocks before counting begins: links come up, the first views find their rhythm. */
const WARM_UP_BLOCKS = 5;
/** Virtual time after which a run that makes no blocks is given up. */
const VIRTUAL_MS_MAX = 600_000;

class CountingNetwork extends Network {
  messages = 0;
  bytes = 0;

  override send(from: Endpoint, to: ValidatorId, channel: Channel, bytes: Uint8Array): void {
    this.messages++;
    this.bytes += bytes.length;
    super.send(from, to, channel, bytes);
  }
}

/** @param delayMs of every link, one way. The same arguments give the same figures. */
export async function measureSet(
  validators: number,
  blocks: number,
  delayMs: number,
): Promise<SetCost> {
  const world = new World();
  const random = new Random(validators);
  const network = new CountingNetwork(world, random.fork(), {
    loss: 0,
    proposalLoss: 0,
    duplication: 0,
    delayMsMin: delayMs,
    delayMsMax: delayMs,
  });
  const keys = new KeyRing();
  const members = Array.from({ length: validators }, (_, i) => {
    const id = `org-${String(i).padStart(2, "0")}/node`;
    const key = keys.create(id);
    return { key, info: { id, org: `org-${i}`, key: key.publicKey, vote: 1, propose: 1 } };
  });
  const policy = createPolicy("fixed");
  const infos = members.map(({ info }) => info);
  const ledger = {
    ledgerId: sha256(utf8("messages of a set")),
    policy,
    genesisSet: createValidatorSet(infos, "byzantine"),
    candidates: infos,
    blockTransactionsMax: BLOCK_TRANSACTIONS,
  };
  let failure: string | undefined;
  const nodes = members.map(
    ({ key, info: { id } }) =>
      new SimulatedNode({
        world,
        network,
        random: random.fork(),
        keys,
        key,
        ledger,
        policy,
        id,
        address: id,
        genesisTime: 1_700_000_000_000,
        clockSkewMs: 0,
        clockDrift: 0,
        mutation: undefined,
        guarded: true,
        hooks: () => ({ executed: () => {}, committed: () => {} }),
        report: (_, event) => {
          if (event.t === "halted") failure ??= `${id}: ${event.message}`;
        },
        signing: () => {},
        diskMsMax: 2,
      }),
  );
  for (const node of nodes) node.start();
  const heights = () => Math.min(...nodes.map((node) => node.store.heights.length));
  const until = async (height: number) => {
    const done = () => failure !== undefined || heights() >= height;
    const isThere = await world.run(VIRTUAL_MS_MAX, done);
    if (failure !== undefined || !isThere) {
      throw new Error(failure ?? `no block ${height} in ${VIRTUAL_MS_MAX} ms of virtual time`);
    }
  };
  // Spread beforehand: what transactions cost on the way to the pools is another matter.
  const count = (WARM_UP_BLOCKS + blocks + 2) * BLOCK_TRANSACTIONS;
  await world.run(world.now + 4 * delayMs);
  for (const node of nodes) {
    for (let i = 0; i < count; i++) {
      node.ledger!.add(`transaction ${i} `.padEnd(TRANSACTION_BYTES, "."));
    }
    node.engine!.wake();
  }
  await until(WARM_UP_BLOCKS);
  const began = { now: world.now, messages: network.messages, bytes: network.bytes };
  const first = heights();
  await until(first + blocks);
  const made = heights() - first;
  const messages = (network.messages - began.messages) / made;
  const bytes = (network.bytes - began.bytes) / made;
  return {
    validators,
    blocks: made,
    blocksPerSecond: made / ((world.now - began.now) / 1000),
    messagesPerBlock: messages,
    bytesPerBlock: bytes,
    messagesPerValidator: messages / validators,
    bytesPerValidator: bytes / validators,
  };
}
