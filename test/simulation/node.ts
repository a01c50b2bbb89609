/** One simulated organization's node: the production engine over simulated disk, links and clock. */
import {
  type BuiltinEngineOptions,
  createBuiltinEngine,
  createSigningState,
  type EngineEvent,
  type OrderingEngine,
  openSigner,
  type RecoveryDocument,
  type SignPlace,
  type Transport,
  type ValidatorPolicy,
} from "@hanse/ordering";
import { SimulatedDisk } from "./disk.ts";
import type { KeyRing, SimulatedKey } from "./keys.ts";
import { type LedgerHooks, type LedgerSetup, SimulatedLedger, Store } from "./ledger.ts";
import { type BrokenRule, ignoreFailedSync, isJointMutation, neverRepeat } from "./mutations.ts";
import type { Endpoint, Network } from "./network.ts";
import { NodeTime } from "./node-time.ts";
import type { Random } from "./random.ts";
import type { Channel, ValidatorId } from "./wiring.ts";
import type { World } from "./world.ts";

/** Rules whose breach the signing guard would hide; the check is of the core then. */
const UNGUARDED: readonly BrokenRule[] = [
  "finalize-after-nullify",
  "nullify-after-finalize",
  "notarize-twice",
  "forget-votes",
];

export interface NodeSetup {
  readonly world: World;
  readonly network: Network;
  readonly random: Random;
  readonly keys: KeyRing;
  readonly key: SimulatedKey;
  readonly ledger: LedgerSetup;
  readonly policy: ValidatorPolicy;
  readonly id: ValidatorId;
  readonly address: string;
  readonly genesisTime: number;
  readonly clockSkewMs: number;
  /** How much faster its clock runs. */
  readonly clockDrift: number;
  readonly mutation: BrokenRule | undefined;
  readonly guarded: boolean;
  /** What an attacker does to its own messages. */
  readonly corrupt?: (node: SimulatedNode, transport: Transport) => Transport;
  readonly hooks: (node: SimulatedNode) => LedgerHooks;
  readonly report: (node: SimulatedNode, event: EngineEvent) => void;
  readonly signing: (node: SimulatedNode, syncing: boolean, at: SignPlace) => void;
  readonly diskMsMax: number;
  /** What its operator hands over at a start; it has been judged. */
  readonly recovery?: (node: SimulatedNode) => RecoveryDocument | undefined;
}

/** One life of a process: from a start to the next crash. */
export interface Life {
  readonly alive: boolean;
  operation(): boolean;
}

export class SimulatedNode {
  readonly setup: NodeSetup;
  readonly disk = new SimulatedDisk();
  readonly time: NodeTime;
  store = new Store();
  engine: OrderingEngine | undefined;
  ledger: SimulatedLedger | undefined;
  /** The disk lost something that it had promised to keep. */
  damaged = false;
  /** The engine of this life stopped by itself. */
  halted = false;
  #created = false;
  #life: { alive: boolean; left: number | undefined } | undefined;
  #endpoint: Endpoint | undefined;

  constructor(setup: NodeSetup) {
    this.setup = setup;
    this.time = new NodeTime(setup.world, setup.clockDrift);
  }

  get id(): ValidatorId {
    return this.setup.id;
  }

  get up(): boolean {
    return this.#life?.alive === true;
  }

  /** The process dies at the n-th operation from now: between any two effects. */
  crashAfter(operations: number | undefined): void {
    if (this.#life !== undefined) this.#life.left = operations;
  }

  crash(): void {
    const life = this.#life;
    if (life === undefined || !life.alive) return;
    life.alive = false;
    this.setup.world.note(0xdead);
    this.setup.network.leave(this.#endpoint!);
    this.disk.crash(this.setup.random);
    if (this.setup.mutation === "commit-before-durable") this.store.loseNewest(this.setup.random);
    this.engine = undefined;
    this.ledger = undefined;
  }

  /** Everything on the ordering disk is gone; the database stays. */
  wipe(): void {
    this.crash();
    this.disk.wipe();
    this.damaged = true;
  }

  start(): void {
    if (this.up) return;
    const { network, random, keys, key, ledger, id, address, policy } = this.setup;
    const own = { alive: true, left: undefined as number | undefined };
    const node = this;
    const life: Life = {
      get alive() {
        return own.alive;
      },
      operation() {
        if (!own.alive) return false;
        if (own.left !== undefined && --own.left <= 0) {
          node.crash();
          return false;
        }
        return true;
      },
    };
    this.#life = own;
    this.halted = false;
    const endpoint: Endpoint & {
      onMessage?: (from: ValidatorId, channel: Channel, bytes: Uint8Array) => void;
      onPeer?: (peer: ValidatorId, up: boolean) => void;
    } = {
      id,
      address,
      receive(from, channel, bytes) {
        node.time.receive(() => {
          if (own.alive) endpoint.onMessage?.(from, channel, bytes);
        });
      },
      peerChanged(peer, up) {
        node.time.receive(() => {
          if (own.alive) endpoint.onPeer?.(peer, up);
        });
      },
    };
    this.#endpoint = endpoint;
    const { mutation } = this.setup;
    const opened = this.disk.open(this.time, random, life, this.setup.diskMsMax);
    const disk = mutation === "ignore-failed-sync" ? ignoreFailedSync(opened) : opened;
    const app = new SimulatedLedger({
      time: this.time,
      random,
      setup: ledger,
      store: this.store,
      life,
      hooks: this.setup.hooks(this),
      checksDuplicates: mutation !== "no-duplicate-check",
      diverges: mutation === "divergent-execution" && id.startsWith("org-1/"),
    });
    this.ledger = app;
    const clock: BuiltinEngineOptions["clock"] = {
      now: () => this.setup.genesisTime + this.time.shown + this.setup.clockSkewMs,
      setTimer: (ms, fire) =>
        this.time.timer(ms, () => {
          if (own.alive) fire();
        }),
    };
    const run = async () => {
      const fresh = !this.#created;
      if (fresh || (mutation === "reuse-wiped-signing-state" && this.damaged)) {
        if (!disk.exists("sign-state-a") && !disk.exists("sign-state-b")) {
          await createSigningState(disk, { ledgerId: ledger.ledgerId, publicKey: key.publicKey });
          this.#created = true;
        } else {
          this.#created = true;
        }
      }
      if (!own.alive) return;
      const signer = openSigner({
        disk,
        id,
        publicKey: key.publicKey,
        ledgerId: ledger.ledgerId,
        sign: (message) => key.sign(message),
        testOnlyUnguarded:
          !this.setup.guarded || (mutation !== undefined && UNGUARDED.includes(mutation)),
      });
      const sign = signer.sign.bind(signer);
      signer.sign = (at, message) => {
        const signature = sign(at, message);
        this.setup.signing(this, this.engine?.status().syncing ?? false, at);
        return signature;
      };
      const links = network.transport(endpoint, life);
      const plain = mutation === "never-repeat" ? neverRepeat(links) : links;
      const recovery = this.setup.recovery?.(this);
      const engine = createBuiltinEngine({
        ledgerId: ledger.ledgerId,
        genesisSet: ledger.genesisSet,
        genesisTime: this.setup.genesisTime,
        app,
        transport: this.setup.corrupt?.(this, plain) ?? plain,
        disk,
        signer,
        clock,
        policy,
        blocks: app.blocks,
        verify: (checks) => {
          const acceptsAll = mutation === "accept-any-signature";
          const verdicts = checks.map((check) => acceptsAll || keys.verify(check));
          if (random.chance(0.5)) return Promise.resolve(verdicts);
          return new Promise((resolve) => this.time.after(random.unit(), () => resolve(verdicts)));
        },
        blockIntervalMsMin: 20,
        blockBytesMax: 64 * 1024,
        tuning: { segmentBytes: 4096, heartbeatMs: 3_000, rangeTimeoutMs: 1_000 },
        report: (event) => {
          if (own.alive) this.setup.report(this, event);
        },
        ...(recovery === undefined ? {} : { recovery }),
        ...(mutation === undefined || isJointMutation(mutation)
          ? {}
          : { testOnlyMutation: mutation }),
      });
      this.engine = engine;
      network.join(endpoint);
      await engine.start();
    };
    run().catch((error: unknown) => {
      if (own.alive) {
        this.setup.report(this, {
          t: "halted",
          code: "START",
          message: error instanceof Error ? String(error.stack) : String(error),
        });
      }
    });
  }
}
