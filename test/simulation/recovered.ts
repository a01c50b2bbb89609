/**
 * Loss of quorum: two of four members are gone for good, the organizations sign a recovery document,
 * and the rest goes on by it with new machines, under faults before and after. Somebody hands around
 * a document that too few have signed; a member that was given up may come back without any.
 */
import {
  createFixedPolicy,
  type EngineEvent,
  type RecoveryAuthority,
  type RecoveryDocument,
  type RecoveryPlan,
  recoveryMessage,
  verifyRecovery,
} from "@hanse/ordering";
import {
  createValidatorSet,
  decodeFinalityProof,
  followLightBlock,
  type LightState,
  type PublicKey,
  sha256,
  utf8,
  type ValidatorInfo,
} from "@hanse/protocol";
import { Checker } from "./checker.ts";
import { drawFaults } from "./faults.ts";
import { Injector } from "./injector.ts";
import { KeyRing, type SimulatedKey } from "./keys.ts";
import type { LedgerSetup } from "./ledger.ts";
import { Network } from "./network.ts";
import { SimulatedNode } from "./node.ts";
import { Random } from "./random.ts";
import type { RunOptions, RunResult } from "./run.ts";
import { World } from "./world.ts";

const MEMBERS = 4;
/** Two machines more follow the ledger from the beginning. */
const NODES = 6;
/** Long enough for the survivors to agree on the last final block. */
const CALM_MS = 6_000;
const LIVENESS_MS = 240_000;
const SILENCE_MS = 8_000;
const SOUND = { loss: 0, proposalLoss: 0, duplication: 0, delayMsMin: 0.5, delayMsMax: 10 };
const idOf = (place: number) => `org-${place}/node`;

type Options = Pick<RunOptions, "seed" | "mutation" | "log">;

export async function runRecovered(options: Options): Promise<RunResult> {
  const world = new World();
  const run = new Recovered(world, new Random(options.seed * 92_821 + 3), options);
  const failure = await run.play();
  return {
    seed: options.seed,
    failure,
    heights: run.checker.height,
    offences: run.checker.offences.size,
    steps: world.steps,
    virtualMs: world.now,
    digest: world.digest,
  };
}

class Recovered {
  readonly #world: World;
  readonly #random: Random;
  readonly #options: Options;
  readonly #network: Network;
  readonly #keys = new KeyRing();
  readonly #administrators: readonly SimulatedKey[];
  readonly #ledger: LedgerSetup;
  readonly #nodes: readonly SimulatedNode[];
  readonly checker: Checker;
  /** Places of the members that are given up. */
  readonly #lost: readonly number[];
  /** What each operator has in hand. */
  readonly #handed = new Map<string, RecoveryDocument>();
  #document: RecoveryDocument | undefined;
  readonly #wanted: string[] = [];

  constructor(world: World, random: Random, options: Options) {
    this.#world = world;
    this.#random = random;
    this.#options = options;
    this.#network = new Network(world, random.fork(), this.#trouble());
    const held = Array.from({ length: NODES }, (_, i) => this.#keys.create(idOf(i)));
    this.#administrators = held.map((_, i) => this.#keys.create(`administrator of org-${i}`));
    const candidates: ValidatorInfo[] = held.map(({ publicKey: key }, i) => ({
      id: idOf(i),
      org: `org-${i}`,
      key,
      vote: 1,
      propose: 1,
    }));
    const policy = createFixedPolicy();
    this.#ledger = {
      ledgerId: sha256(utf8(`lost ledger of seed ${options.seed}`)),
      policy,
      genesisSet: createValidatorSet(candidates.slice(0, MEMBERS), "byzantine"),
      candidates,
      blockTransactionsMax: 5,
    };
    this.checker = new Checker(this.#ledger, this.#keys, () => true);
    const first = random.between(0, MEMBERS - 1);
    this.#lost = [first, (first + random.between(1, MEMBERS - 1)) % MEMBERS];
    const diskMsMax = random.pick([1, 30, 120]);
    this.#nodes = held.map(
      (key, i) =>
        new SimulatedNode({
          world,
          network: this.#network,
          random: random.fork(),
          keys: this.#keys,
          key,
          ledger: this.#ledger,
          policy,
          id: idOf(i),
          address: idOf(i),
          genesisTime: 1_700_000_000_000,
          clockSkewMs: random.between(-50, 50),
          clockDrift: 0,
          mutation: options.mutation,
          guarded: true,
          hooks: (node) => ({
            executed: (decided, result) => this.checker.executed(node.id, decided, result),
            committed: () => {},
          }),
          report: (node, event) => this.#reported(node, event),
          diskMsMax,
          signing: (node, syncing, at) => this.checker.signing(node.id, syncing, at),
          recovery: (node) => this.#recoveryOf(node),
        }),
    );
    this.#network.onSend = ({ id }, bytes) => {
      const node = this.#nodes.find((other) => other.id === id);
      this.checker.sent(id, bytes, node?.halted ?? false);
    };
  }

  #trouble() {
    const random = this.#random;
    return {
      loss: random.pick([0, 0.05, 0.25]),
      proposalLoss: 0,
      duplication: random.pick([0, 0.1]),
      delayMsMin: 0.5,
      delayMsMax: random.pick([5, 40, 300]),
    };
  }

  #log(text: string): void {
    this.#options.log?.(`${this.#world.now.toFixed(1).padStart(9)} ${text}`);
  }

  #reported(node: SimulatedNode, event: EngineEvent): void {
    this.#log(`${node.id} ${event.t}${event.t === "halted" ? ` ${event.code}` : ""}`);
    if (event.t === "halted") node.halted = true;
    this.checker.reported(node.id, event, node);
  }

  /** Everyone with a validator when the quorum was lost. */
  #authority(height: number): RecoveryAuthority {
    return {
      ledgerId: this.#ledger.ledgerId,
      engineEpoch: 0,
      organizations: this.#ledger.candidates
        .map(({ id, org }, i) => ({ id, org, keys: [this.#administrators[i]!.publicKey] }))
        .filter(({ id }) => this.checker.setAt(height).members.some((member) => member.id === id))
        .map(({ org, keys }) => ({ id: org, keys })),
      above: [2, 3],
    };
  }

  #judge: (document: RecoveryDocument) => boolean = () => false;

  /** What a node is started with: a node judges what its operator hands over. */
  #recoveryOf(node: SimulatedNode): RecoveryDocument | undefined {
    const document = this.#handed.get(node.id);
    if (document === undefined) return undefined;
    if (node.store.heights.at(-1)?.block.header.engineEpoch === document.engineEpoch) {
      return undefined;
    }
    if (this.#judge(document)) return document;
    if (document === this.#document) this.checker.fail("the recovery document was refused");
    return this.#options.mutation === "accept-any-recovery" ? document : undefined;
  }

  #sign(plan: RecoveryPlan, by: readonly number[]): RecoveryDocument {
    const signatures = by.map((i) => {
      const { publicKey: key, sign } = this.#administrators[i]!;
      return { organization: `org-${i}`, key, signature: sign(recoveryMessage(plan)) };
    });
    return { ...plan, signatures };
  }

  get #rest(): SimulatedNode[] {
    return this.#nodes.filter((_, i) => !this.#lost.includes(i));
  }

  #submit(text: string): void {
    const holders = this.#document === undefined ? this.#nodes : this.#rest;
    if (holders.every((node) => node.ledger?.has(text) === true)) return;
    for (const node of holders) {
      node.ledger?.add(text);
      node.engine?.wake();
    }
    this.#world.after(2_500, () => this.#submit(text));
  }

  #load(name: string, forMs: number): void {
    for (let i = this.#random.between(3, 10); i > 0; i--) {
      const text = `${name} ${i}`;
      this.#wanted.push(text);
      this.#world.after(this.#random.between(0, forMs), () => this.#submit(text));
    }
  }

  /** Faults on some nodes for a while, then a sound network and everyone up. */
  async #chaos(nodes: readonly SimulatedNode[], forMs: number, before: () => void): Promise<void> {
    const { checker } = this;
    const random = this.#random;
    this.#network.quality = this.#trouble();
    const parts = { world: this.#world, network: this.#network, random: random.fork() };
    const injector = new Injector({ ...parts, nodes, checker });
    const faults = drawFaults(random, {
      kind: "crashes",
      members: nodes.length,
      nodes: nodes.length,
      chaosMs: forMs,
      liar: -1,
      rule: "byzantine",
    });
    for (const { at, fault } of faults) {
      this.#world.after(at, () => {
        this.#log(JSON.stringify(fault));
        injector.inject(fault);
      });
    }
    await this.#run(forMs);
    before();
    injector.heal();
    this.#network.quality = SOUND;
  }

  #run(forMs: number, done: () => boolean = () => false): Promise<boolean> {
    const failed = () => this.checker.violation !== undefined;
    return this.#world.run(this.#world.now + forMs, () => failed() || done());
  }

  async play(): Promise<string | undefined> {
    const { checker } = this;
    for (const node of this.#nodes) node.start();
    const beginMs = this.#random.between(2_000, 7_000);
    this.#load("before", beginMs);
    // Decided shortly before the loss, it is void above it.
    if (this.#random.chance(0.5)) {
      const at = beginMs - this.#random.between(0, 400);
      this.#world.after(at, () => this.#submit("set:add:5:0"));
    }
    await this.#run(60_000, () => checker.height >= 1);
    await this.#chaos(this.#nodes, beginMs, () => {
      for (const place of this.#lost) this.#nodes[place]!.crash();
    });
    for (const node of this.#rest) node.start();
    this.#load("stalled", 1_000);
    await this.#run(CALM_MS);
    if (checker.violation !== undefined) return checker.violation;
    const stalledAt = Math.max(...this.#rest.map(({ store }) => store.heights.length));
    await this.#run(CALM_MS);
    const height = Math.max(...this.#rest.map(({ store }) => store.heights.length));
    if (height !== stalledAt) return "the ledger went on without a quorum";
    const mayBeMore = this.#draft(height);
    this.#load("after", 4_000);
    for (const node of this.#rest) {
      this.#world.after(this.#random.between(0, 3_000), () => this.#hand(node, this.#document!));
    }
    const returns = !mayBeMore && this.#random.chance(0.6);
    await this.#chaos(this.#rest, this.#random.between(4_000, 9_000), () => {});
    for (const node of this.#rest) node.start();
    // Members that nobody gave the document to say what they knew; only now, for before everyone
    // has it they would be a quorum of the old epoch together with those who have not.
    if (returns) for (const place of this.#lost) this.#nodes[place]!.start();
    const caughtUp = () =>
      this.#wanted.every((text) => checker.included.has(text)) &&
      this.#rest.every(({ store }) => store.heights.length === checker.height);
    await this.#run(LIVENESS_MS, caughtUp);
    if (checker.violation !== undefined) return checker.violation;
    if (!caughtUp()) return this.#stall();
    for (const place of this.#lost) {
      const { id, store } = this.#nodes[place]!;
      if (returns && store.heights.length > height) return `${id} went on without the document`;
    }
    await this.#run(SILENCE_MS);
    const last = checker.height;
    await this.#run(SILENCE_MS);
    if (checker.violation !== undefined) return checker.violation;
    if (checker.height !== last) return "an idle ledger goes on making blocks";
    return this.#followAsOutsider(height);
  }

  /** @returns whether members that are given up may hold more than the document says. */
  #draft(height: number): boolean {
    const { checker } = this;
    const random = this.#random;
    const holder = this.#rest.find(({ store }) => store.heights.length === height)!;
    const { hash, stateRoot } = holder.store.heights.at(-1)!;
    const authority = this.#authority(height + 1);
    const verify = (check: { key: PublicKey; message: Uint8Array; signature: Uint8Array }) =>
      this.#keys.verify(check);
    this.#judge = (document) => verifyRecovery(document, authority, verify).ok;
    const places = this.#ledger.candidates.map((_, i) => i);
    const survivors = places.filter((i) => i < MEMBERS && !this.#lost.includes(i));
    const setOf = (members: readonly number[]) =>
      createValidatorSet(
        members.map((i) => this.#ledger.candidates[i]!),
        "byzantine",
      );
    const plan: RecoveryPlan = {
      ledgerId: this.#ledger.ledgerId,
      height,
      blockHash: hash,
      stateRoot,
      engineEpoch: 1,
      policy: "fixed",
      policyParams: {},
      set: setOf([...survivors, 4, ...(random.chance(0.5) ? [5] : [])]),
    };
    const signers = authority.organizations.map(({ id }) => Number(id.slice("org-".length)));
    const few = random.chance(0.5) ? signers.slice(0, 2) : [signers[0]!, signers[0]!, signers[1]!];
    const forged = this.#sign({ ...plan, set: setOf([4]) }, few);
    this.#document = this.#sign(plan, signers);
    const mayBeMore = checker.recovered(this.#document);
    this.#log(`recovery above ${height}`);
    this.#hand(this.#nodes[4]!, forged);
    return mayBeMore;
  }

  #hand(node: SimulatedNode, document: RecoveryDocument): void {
    this.#handed.set(node.id, document);
    node.crash();
    node.start();
  }

  #stall(): string {
    const missing = this.#wanted.filter((text) => !this.checker.included.has(text)).length;
    const places = this.#nodes.map(({ id, store }) => `${id}@${store.heights.length}`);
    return `no progress after the recovery: ${missing} transactions wait, ${places.join(" ")}`;
  }

  /**
   * Nobody handed over to the members of the recovery: a light client of before believes them only
   * where enough of the old ones signed with them, else it needs an anchor.
   */
  #followAsOutsider(height: number): string | undefined {
    const { ledgerId, genesisSet } = this.#ledger;
    const verify = (key: PublicKey, message: Uint8Array, signature: Uint8Array) =>
      this.#keys.verify({ key, message, signature });
    let state: LightState = {
      trust: { ledgerId, height: 0, headerHash: ledgerId, set: genesisSet },
    };
    for (const { block, certificate, hash, height: at } of this.#rest[0]!.store.heights) {
      const proof = decodeFinalityProof(certificate, block.header);
      const set = this.checker.setAt(at);
      const verdict = followLightBlock(state, { proof, set }, { verify });
      const begins = at === height + 1;
      if (!verdict.ok && !begins) return `a light client refuses height ${at}: ${verdict.reason}`;
      if (verdict.ok && begins && verdict.step !== "skipped") {
        return `a light client took the recovery for a change like others: ${verdict.step}`;
      }
      state = verdict.ok
        ? verdict.state
        : { trust: { ledgerId, height: at, headerHash: hash, set } };
    }
    return undefined;
  }
}
