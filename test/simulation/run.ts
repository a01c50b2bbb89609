/** Runs one seed: chaos, healing, silence; every invariant watched all along. */
import { createPolicy, type EngineEvent, type SignPlace } from "@hanse/ordering";
import {
  createValidatorSet,
  decodeFinalityProof,
  followLightBlock,
  type LightBlock,
  type LightState,
  type PublicKey,
  sha256,
  utf8,
  type ValidatorInfo,
} from "@hanse/protocol";
import { corruptTransport } from "./attacker.ts";
import { Checker } from "./checker.ts";
import type { TimedFault } from "./faults.ts";
import { Injector } from "./injector.ts";
import { KeyRing } from "./keys.ts";
import type { LedgerSetup } from "./ledger.ts";
import type { TracedHeight } from "./model-trace.ts";
import type { BrokenRule } from "./mutations.ts";
import { Network } from "./network.ts";
import { type NodeSetup, SimulatedNode } from "./node.ts";
import { Random } from "./random.ts";
import { createScenario, type Focus, type Scenario, type StandingFault } from "./scenario.ts";
import { World } from "./world.ts";

export interface RunOptions {
  readonly seed: number;
  readonly focus: Focus;
  readonly mutation: BrokenRule | undefined;
  readonly log?: ((line: string) => void) | undefined;
  /** The faults instead of those that the seed draws; the rest stays as drawn. */
  readonly faults?: readonly TimedFault[] | undefined;
  /** Gets every height, also the open one, with what honest members signed there. */
  readonly onTraced?: (traced: TracedHeight) => void;
}

export interface RunResult {
  readonly seed: number;
  /** Undefined = all invariants held and the ledger went on after the healing. */
  readonly failure: string | undefined;
  readonly heights: number;
  /** Offences that stand on the ledger with their evidence. */
  readonly offences: number;
  readonly steps: number;
  readonly virtualMs: number;
  readonly digest: string;
}

const GENESIS_TIME = 1_700_000_000_000;
/** After the healing every transaction must be final within this time. */
const LIVENESS_MS = 240_000;
/** Nothing may happen on an idle ledger for this long. */
const SILENCE_MS = 15_000;
/** Log and signing state of an idle node stay below this. */
const DISK_BYTES_MAX = 400_000;

/** What a seed draws. */
export function scenarioOf({ seed, focus }: Pick<RunOptions, "seed" | "focus">): Scenario {
  return createScenario(new Random(seed * 2_654_435_761 + 17), focus);
}

export async function runSeed(options: RunOptions): Promise<RunResult> {
  const drawn = scenarioOf(options);
  const scenario = options.faults === undefined ? drawn : { ...drawn, faults: options.faults };
  const world = new World();
  // A stream of its own: another fault schedule leaves the rest of the run as it is.
  const run = new Run(world, new Random(options.seed * 40_503 + 5), scenario, options);
  const failure = await run.play();
  if (options.onTraced !== undefined) run.trace(options.onTraced);
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

function idOf(index: number): string {
  return `org-${index}/node`;
}

class Run {
  readonly #world: World;
  readonly #random: Random;
  readonly #scenario: Scenario;
  readonly #options: RunOptions;
  readonly #network: Network;
  readonly #nodes: SimulatedNode[] = [];
  readonly #injector: Injector;
  readonly #keys: KeyRing;
  readonly #ledger: LedgerSetup;
  readonly checker: Checker;
  #healed = false;
  readonly #signed: { readonly id: string; readonly at: SignPlace }[] = [];

  constructor(world: World, random: Random, scenario: Scenario, options: RunOptions) {
    this.#world = world;
    this.#random = random;
    this.#scenario = scenario;
    this.#options = options;
    const keys = new KeyRing();
    const { loss, proposalLoss, duplication, delayMsMax } = scenario;
    const quality = { loss, proposalLoss, duplication, delayMsMin: 0.5, delayMsMax };
    this.#network = new Network(world, random.fork(), quality);
    const held = Array.from({ length: scenario.nodes }, (_, i) => keys.create(idOf(i)));
    const candidates: ValidatorInfo[] = held.map((key, i) => ({
      id: idOf(i),
      org: `org-${i}`,
      key: key.publicKey,
      vote: scenario.weights[i] ?? 1,
      propose: 1,
    }));
    const ledger: LedgerSetup = {
      ledgerId: sha256(utf8(`ledger of seed ${options.seed}`)),
      policy: createPolicy(
        scenario.slotMs > 0 ? "dpoa" : "fixed",
        scenario.slotMs > 0 ? { slotMs: scenario.slotMs } : {},
      ),
      genesisSet: createValidatorSet(candidates.slice(0, scenario.members), scenario.rule),
      candidates,
      blockTransactionsMax: 5,
    };
    const { policy } = ledger;
    this.#keys = keys;
    this.#ledger = ledger;
    const liar = scenario.liar.kind === "none" ? undefined : idOf(scenario.liar.node);
    this.checker = new Checker(ledger, keys, (id) => id !== liar);
    this.#network.onSend = ({ id, address }, bytes) => {
      const node = this.#nodes.find(({ setup }) => setup.address === address);
      this.checker.sent(id, bytes, node?.halted ?? false);
    };
    const create = (i: number, address: string, lies: boolean) => {
      const setup: NodeSetup = {
        world,
        network: this.#network,
        random: random.fork(),
        keys,
        key: held[i]!,
        ledger,
        policy,
        id: idOf(i),
        address,
        genesisTime: GENESIS_TIME,
        clockSkewMs: random.between(-scenario.clockSkewMsMax, scenario.clockSkewMsMax),
        clockDrift: (random.unit() * 2 - 1) * scenario.clockDriftMax,
        mutation: options.mutation,
        guarded: !lies,
        ...(lies && scenario.liar.kind === "attacker"
          ? {
              corrupt: (node, transport) =>
                corruptTransport({ node, transport, key: held[i]!, ledger, policy, random, world }),
            }
          : {}),
        hooks: (node) => ({
          executed: (decided, result) => this.checker.executed(node.id, decided, result),
          committed: () => {},
        }),
        report: (node, event) => this.#reported(node, event),
        diskMsMax: scenario.diskMsMax,
        signing: (node, syncing, at) => {
          if (lies) return;
          this.checker.signing(node.id, syncing, at);
          if (options.onTraced !== undefined) this.#signed.push({ id: node.id, at });
        },
      };
      this.#nodes.push(new SimulatedNode(setup));
    };
    for (let i = 0; i < scenario.nodes; i++) create(i, idOf(i), i === scenario.liar.node);
    if (scenario.liar.kind === "twin") {
      create(scenario.liar.node, `${idOf(scenario.liar.node)}#2`, true);
    }
    const { checker } = this;
    this.#injector = new Injector({
      world,
      network: this.#network,
      random: random.fork(),
      nodes: this.#nodes,
      checker,
    });
  }

  #log(text: string): void {
    this.#options.log?.(`${this.#world.now.toFixed(1).padStart(9)} ${text}`);
  }

  #reported(node: SimulatedNode, event: EngineEvent): void {
    if (this.#options.log !== undefined) {
      const text = JSON.stringify(event, (_, value: unknown) =>
        value instanceof Uint8Array ? Buffer.from(value).toString("hex").slice(0, 12) : value,
      );
      this.#log(`${node.setup.address} ${text}`);
    }
    if (event.t === "halted") node.halted = true;
    this.checker.reported(node.id, event, node);
  }

  /** Every height, as the model is to accept it. */
  trace(onTraced: (traced: TracedHeight) => void): void {
    const { liar } = this.#scenario;
    // Sets are known up to two heights above the last final one.
    for (let height = 1; height <= this.checker.height + 2; height++) {
      onTraced({
        height,
        set: this.checker.setAt(height),
        liars: liar.kind === "none" ? [] : [idOf(liar.node)],
        leaderOf: (view) => this.checker.leaderOf(height, view),
        final: this.checker.decided[height]?.hash,
        signed: this.#signed.filter(({ at }) => at.height === height),
      });
    }
  }

  get #honest(): SimulatedNode[] {
    const { liar, lost } = this.#scenario;
    return this.#nodes.filter(
      (_, i) => i !== liar.node && i < this.#scenario.nodes && !(this.#healed && i === lost?.node),
    );
  }

  async play(): Promise<string | undefined> {
    this.#options.log?.(JSON.stringify(this.#scenario));
    for (const node of this.#nodes) node.start();
    for (const { at, fault } of this.#scenario.faults) {
      this.#world.after(at, () => {
        this.#log(JSON.stringify(fault));
        this.#injector.inject(fault);
      });
    }
    for (const { at, text } of this.#scenario.transactions) {
      this.#world.after(at, () => this.#submit(text));
    }
    if (this.#scenario.liar.kind === "twin") this.#separateTwins();
    const failed = () => this.checker.violation !== undefined;
    await this.#world.run(this.#scenario.chaosMs, failed);
    if (failed()) return this.checker.violation;
    this.#heal();
    const wanted = this.#scenario.transactions.map(({ text }) => text);
    const caughtUp = () =>
      wanted.every((text) => this.checker.included.has(text)) &&
      this.#honest.every((node) => node.store.heights.length === this.checker.height);
    await this.#world.run(this.#world.now + LIVENESS_MS, () => failed() || caughtUp());
    if (failed()) return this.checker.violation;
    if (!caughtUp()) return this.#stall(wanted);
    const reason = this.#followAsOutsider();
    if (reason !== undefined) return `a light client refuses the chain: ${reason}`;
    if (this.#scenario.liar.kind !== "none") return undefined;
    // An honest idle ledger proves its last state and falls silent.
    await this.#world.run(this.#world.now + SILENCE_MS, failed);
    const height = this.checker.height;
    await this.#world.run(this.#world.now + SILENCE_MS, failed);
    if (failed()) return this.checker.violation;
    if (this.checker.height !== height) return "an idle ledger goes on making blocks";
    const last = this.checker.decided.at(-1)!;
    if (last.transactions > 0) return "the last state has no proof block";
    for (const node of this.#honest) {
      if (node.store.heights.length !== height) return `${node.id} is behind on an idle ledger`;
      if (node.disk.bytes > DISK_BYTES_MAX)
        return `${node.id} holds ${node.disk.bytes} bytes of log`;
    }
    return undefined;
  }

  /**
   * What a light client makes of one node's record: every block is believed from the one below it,
   * and the newest one also by going from set change to set change, skipping where it may.
   */
  #followAsOutsider(): string | undefined {
    const { ledgerId, genesisSet } = this.#ledger;
    const verify = (key: PublicKey, message: Uint8Array, signature: Uint8Array) =>
      this.#keys.verify({ key, message, signature });
    const blocks = this.#honest[0]!.store.heights.map(
      ({ block, certificate }): LightBlock => ({
        proof: decodeFinalityProof(certificate, block.header),
        set: this.checker.setAt(block.header.height),
      }),
    );
    const trust = { ledgerId, height: 0, headerHash: ledgerId, set: genesisSet };
    let walked: LightState = { trust };
    let jumped: LightState = { trust };
    for (const [i, block] of blocks.entries()) {
      const verdict = followLightBlock(walked, block, { verify });
      if (!verdict.ok) return verdict.reason;
      walked = verdict.state;
      const above = blocks[i + 1]?.proof.header;
      if (above !== undefined && above.lastSetChangeHeight !== above.height) continue;
      const jump = followLightBlock(jumped, block, { verify });
      if (!jump.ok) return jump.reason;
      jumped = jump.state;
    }
    const isSame = jumped.trust.height === walked.trust.height;
    return isSame ? undefined : "it did not reach the newest block";
  }

  #stall(wanted: readonly string[]): string {
    const missing = wanted.filter((text) => !this.checker.included.has(text)).length;
    const places = this.#nodes.map((node) => {
      const status = node.engine?.status();
      return `${node.setup.address}@${node.store.heights.length}/v${status?.view ?? "-"}${
        status?.quarantined === undefined ? "" : `(${status.quarantined})`
      }`;
    });
    return `no progress after the healing: ${missing} transactions wait, ${places.join(" ")}`;
  }

  /** A client hands its transaction to some nodes, and again until it is final. */
  #submit(text: string): void {
    if (this.checker.included.has(text)) {
      const everywhere = this.#honest.every(
        (node) => node.ledger === undefined || node.ledger.has(text),
      );
      if (everywhere) return;
    }
    for (const node of this.#nodes) {
      if (node.ledger === undefined || (!this.#healed && this.#random.chance(0.2))) continue;
      node.ledger.add(text);
      node.engine?.wake();
    }
    this.#world.after(2_500, () => this.#submit(text));
  }

  #separateTwins(): void {
    const first = idOf(this.#scenario.liar.node);
    const second = `${first}#2`;
    const swap = () => {
      if (this.#healed) return;
      this.#network.heal();
      for (const node of this.#nodes) {
        if (node.id === first) continue;
        const hidden = this.#random.chance(0.5) ? first : second;
        this.#network.cut(hidden, node.setup.address);
        if (this.#random.chance(0.7)) this.#network.cut(node.setup.address, hidden);
      }
      this.#world.after(this.#random.between(300, 3_000), swap);
    };
    swap();
  }

  #heal(): void {
    this.#healed = true;
    this.#log("healed");
    this.#injector.heal();
    this.#network.quality = {
      loss: 0,
      proposalLoss: 0,
      duplication: 0,
      delayMsMin: 0.5,
      delayMsMax: 10,
    };
    const { lost } = this.#scenario;
    for (const [i, node] of this.#nodes.entries()) {
      if (lost?.how === "dead" && i === lost.node) node.crash();
      else node.start();
    }
    if (lost !== undefined) this.#keepBroken(lost.node, lost.how);
  }

  /** What is still broken for good: the others must go on. */
  #keepBroken(place: number, how: StandingFault): void {
    const node = this.#nodes[place]!;
    const { address } = node.setup;
    if (how === "slow") node.time.slowness = 40;
    if (how === "clock") node.time.clockOffsetMs = 3_600_000;
    if (how === "flaky") this.#network.flaky = address;
    for (const { setup: other } of this.#nodes) {
      if (how === "deaf") this.#network.cut(other.address, address);
      if (how === "mute") this.#network.cut(address, other.address);
    }
  }
}
