/** A ledger under policy `posr`, epoch by epoch: the production policy, everything else by chance. */
import {
  assignProbers,
  createPosrState,
  type PolicyFacts,
  type PolicyParams,
  type PosrState,
  type ProbeReport,
  readPosrParams,
  SLOTS,
  stepPosr,
  type ValidatorUpdate,
} from "@hanse/ordering";
import { createValidatorSet, type ValidatorInfo, type ValidatorSet } from "@hanse/protocol";
import type { SeededRandom } from "../seeded-random.ts";

/** Blocks that stand for one slot: enough that presence shows an outage of part of an epoch. */
const BLOCKS_PER_SLOT = 4;
const EPOCH_BLOCKS = SLOTS * BLOCKS_PER_SLOT;
const PROBE_LOSS = 0.01;

type Candidate = NonNullable<PolicyFacts["candidates"]>[number];

export interface NetworkNode {
  readonly id: string;
  readonly org: string;
}

/** Whether a node works in a slot, counted from the first on. */
export type WorksAt = (node: number, slot: number) => boolean;

/** Whether one node can reach another in an epoch. */
export type Reaches = (from: number, to: number, epoch: number) => boolean;

export interface NetworkOptions {
  readonly nodes: readonly NetworkNode[];
  readonly params: PolicyParams;
  /** The first so many are members from the start, the others wait as candidates. */
  readonly members: number;
  readonly works: WorksAt;
  readonly reaches?: Reaches;
  /** Who wants to be member or candidate in an epoch; everyone unless told. */
  readonly applies?: (node: number, epoch: number) => boolean;
  /** Probability that an answer is lost; 1 % unless told. */
  readonly probeLoss?: number;
  readonly random: SeededRandom;
}

export class PosrNetwork {
  readonly #options: NetworkOptions;
  readonly #params;
  readonly #infos: readonly Candidate[];
  readonly #place: ReadonlyMap<string, number>;
  set: ValidatorSet;
  state: PosrState;
  #height = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#params = readPosrParams({ ...options.params, epochBlocks: EPOCH_BLOCKS });
    this.#infos = options.nodes.map(({ id, org }, i) => {
      const bytes = new Uint8Array(32);
      new DataView(bytes.buffer).setUint32(0, i + 1);
      return { id, org, key: { algorithm: "ed25519", bytes } };
    });
    this.#place = new Map(options.nodes.map(({ id }, i) => [id, i]));
    const members: ValidatorInfo[] = this.#infos
      .slice(0, options.members)
      .map((info) => ({ ...info, vote: 1, propose: this.#params.base }));
    this.set = createValidatorSet(members, "byzantine");
    this.state = createPosrState(1);
  }

  /** One epoch: its signatures, its probes, and the policy's verdict at the end. */
  epoch(): void {
    const { nodes, works, random, reaches = () => true, applies = () => true } = this.#options;
    const { probeLoss = PROBE_LOSS } = this.#options;
    const { epoch } = this.state;
    this.#leave((i) => applies(i, epoch));
    const isMember = new Set(this.set.members.map((member) => member.id));
    const candidates = this.#infos.filter(({ id }, i) => !isMember.has(id) && applies(i, epoch));
    const known = nodes.filter(({ id }, i) => isMember.has(id) || applies(i, epoch));
    // Nodes from which the members with most weight are reached: whose side the ledger goes on with.
    const anchor = this.#mainSide(epoch, reaches);
    const up = nodes.map((_, i) =>
      Array.from({ length: SLOTS }, (_, slot) => works(i, epoch * SLOTS + slot)),
    );
    const isHere = (i: number) => reaches(i, anchor, epoch);

    const votes: PolicyFacts["votes"][number][] = [];
    const eligible = this.set.members.map((member) => member.id);
    for (let block = 0; block < EPOCH_BLOCKS; block++) {
      const slot = Math.floor(block / BLOCKS_PER_SLOT);
      const present = eligible.filter((id) => {
        const i = this.#place.get(id)!;
        return isHere(i) && up[i]![slot]!;
      });
      votes.push({ height: this.#height + block, eligible, present });
    }

    const reports: ProbeReport[] = [];
    if (this.#params.probing === 1) {
      const seen = new Map(known.map(({ id }) => [id, new Map<string, [number, number]>()]));
      const probersOf = assignProbers(known, epoch, this.#params.probers);
      for (const target of known) {
        const to = this.#place.get(target.id)!;
        for (const [slot, probers] of probersOf(target).entries()) {
          for (const prober of probers) {
            const from = this.#place.get(prober)!;
            if (!isHere(from) || !up[from]![slot]!) continue;
            const ok = up[to]![slot]! && reaches(from, to, epoch) && !random.chance(probeLoss);
            const of = seen.get(prober)!;
            const [asked, answered] = of.get(target.id) ?? [0, 0];
            of.set(target.id, [asked | (1 << slot), answered | (ok ? 1 << slot : 0)]);
          }
        }
      }
      for (const [prober, of] of seen) {
        const targets = [...of].map(([id, [asked, answered]]) => ({ id, asked, answered }));
        if (targets.length > 0) reports.push({ prober, epoch, targets });
      }
    }

    this.#height += EPOCH_BLOCKS;
    const facts: PolicyFacts = {
      header: {
        height: this.#height,
        time: this.#height,
        proposer: eligible[0]!,
        policyExtra: new Uint8Array(0),
      },
      set: this.set,
      latest: this.set,
      votes,
      barred: [],
      reports,
      candidates,
    };
    const step = stepPosr(this.state, facts, this.#params);
    this.state = step.state;
    this.#apply(step.updates);
  }

  epochs(count: number): void {
    for (let i = 0; i < count; i++) this.epoch();
  }

  /** Propose weight of a node; 0 while it is no member. */
  weight(node: number): number {
    const { id } = this.#options.nodes[node]!;
    return this.set.members.find((member) => member.id === id)?.propose ?? 0;
  }

  weights(): number[] {
    return this.#options.nodes.map((_, i) => this.weight(i));
  }

  #apply(updates: readonly ValidatorUpdate[]): void {
    const members = new Map(this.set.members.map((member) => [member.id, member]));
    for (const update of updates) {
      if (update.vote === 0) members.delete(update.id);
      else members.set(update.id, update);
    }
    if (updates.length > 0) this.set = createValidatorSet([...members.values()], "byzantine");
  }

  /** Members go when they want to, by a decision of governance. */
  #leave(wants: (node: number) => boolean): void {
    const staying = this.set.members.filter(({ id }) => wants(this.#place.get(id)!));
    if (staying.length < this.set.members.length) {
      this.set = createValidatorSet(staying, this.set.quorum);
    }
  }

  /** A node that reaches the most members. */
  #mainSide(epoch: number, reaches: Reaches): number {
    let best = 0;
    let bestCount = -1;
    for (const { id } of this.set.members) {
      const i = this.#place.get(id)!;
      let count = 0;
      for (const other of this.set.members) {
        if (reaches(i, this.#place.get(other.id)!, epoch)) count++;
      }
      if (count > bestCount) {
        best = i;
        bestCount = count;
      }
    }
    return best;
  }
}

/**
 * Outages by chance: each node is down for the share 1 - availability of the time, `outageSlots`
 * on average at a stretch. Slots must be asked for in order.
 */
export function outagesByChance(
  availability: readonly number[],
  outageSlots: number,
  random: SeededRandom,
): WorksAt {
  const streams = availability.map((_, i) => random.fork(`node ${i}`));
  const isDown = availability.map((share, i) => !streams[i]!.chance(share));
  const at = availability.map(() => -1);
  return (node, slot) => {
    const share = availability[node]!;
    const ends = share === 0 ? 0 : 1 / outageSlots;
    const begins = share === 0 ? 1 : Math.min(1, ((1 - share) / share) * ends);
    for (; at[node]! < slot; at[node]!++) {
      const flips = streams[node]!.chance(isDown[node]! ? ends : begins);
      if (flips) isDown[node] = !isDown[node];
    }
    return !isDown[node];
  };
}

export function nodesOf(count: number): NetworkNode[] {
  return Array.from({ length: count }, (_, i) => {
    const org = `org-${String(i).padStart(3, "0")}`;
    return { id: `${org}/node`, org };
  });
}
