/** One node under the ABCI driver: a real ledger in memory, the engine, and CometBFT's connections. */
import type { EngineEvent, LedgerApp, OrderingEngine, ValidatorUpdate } from "@hanse/ordering";
import { applyUpdates } from "@hanse/ordering";
import { type CometCommit, type CometHeader, HanseError, type ValidatorSet } from "@hanse/protocol";
import {
  createManualClock,
  createRigNode,
  GENESIS_TIME,
  type RigGenesis,
  type RigNode,
} from "../../../ledger/src/testing/ledger-rig.ts";
import { createCometEngine } from "../engine/create-comet-engine.ts";
import { AbciClient } from "./abci-client.ts";

/** What the driver knows of a decided height, for `signedHeader`. */
export interface SignedHeights {
  readonly headers: Map<number, { readonly header: CometHeader; readonly commit: CometCommit }>;
}

export interface DrivenOptions {
  readonly rig: RigGenesis;
  readonly self: string;
  readonly genesisSet: ValidatorSet;
  /** Decisions on the validators, a pure function of the height; absent = governance's own. */
  readonly updatesAt?: (height: number, set: ValidatorSet) => readonly ValidatorUpdate[];
  readonly signed: SignedHeights;
}

/** CometBFT's four connections. */
export interface Connections {
  readonly consensus: AbciClient;
  readonly mempool: AbciClient;
  readonly query: AbciClient;
  readonly snapshot: AbciClient;
}

export class DrivenApp {
  readonly #options: DrivenOptions;
  node!: RigNode;
  readonly events: EngineEvent[] = [];
  /** Bells that were handed to CometBFT and not yet dropped. */
  bells: Uint8Array[] = [];
  connections!: Connections;
  rpcDown = false;
  #engine: OrderingEngine | undefined;
  #url = "";
  /** Sets by height, as a ledger's state would have them. */
  readonly #sets = new Map<number, ValidatorSet>();

  constructor(options: DrivenOptions) {
    this.#options = options;
  }

  setAt(height: number): ValidatorSet {
    return this.#sets.get(height) ?? this.#options.genesisSet;
  }

  get engine(): OrderingEngine {
    return this.#engine!;
  }

  async start(): Promise<void> {
    const { rig } = this.#options;
    const old = this.node;
    this.node = await createRigNode(rig, {
      clock: old?.clock ?? createManualClock(GENESIS_TIME + 1_000),
      ...(old === undefined ? {} : { store: await old.store.reopen(), disk: old.disk.crash() }),
    });
    await this.#open();
  }

  async #open(): Promise<void> {
    const { rig, self, signed, updatesAt } = this.#options;
    const { ledger, store, clock } = this.node;
    const app: LedgerApp = {
      info: () => ledger.info(),
      buildBlock: (request) => ledger.buildBlock(request),
      validateBlock: (block, hash) => ledger.validateBlock(block, hash),
      commit: (height) => ledger.commit(height),
      prove: (proof) => ledger.prove(proof),
      hasWork: () => ledger.hasWork(),
      finalizeBlock: async (decided) => {
        const result = await ledger.finalizeBlock(decided);
        const { height } = result;
        const next = this.setAt(height + 1);
        const validatorUpdates = updatesAt?.(height, next) ?? result.validatorUpdates;
        this.#sets.set(height + 1, next);
        this.#sets.set(height + 2, applyUpdates(next, validatorUpdates));
        return { ...result, validatorUpdates };
      },
    };
    // The engine opens its own server; its address comes back through the process's start.
    this.#engine = createCometEngine({
      self,
      ledgerId: rig.ledgerId,
      setAt: (height) => this.setAt(height),
      genesisTime: rig.genesis.time,
      app,
      blocks: store,
      clock,
      blockIntervalMsMin: () => rig.genesis.params.blockIntervalMsMin,
      blockBytesMax: rig.genesis.params.blockBytesMax,
      address: { host: "127.0.0.1", port: 0 },
      rpc: {
        broadcast: async (bell) => void this.bells.push(bell),
        signedHeader: async (height) => {
          if (this.rpcDown) throw new HanseError("COMET_RPC_DOWN", "unavailable", "RPC is down");
          return signed.headers.get(height)!;
        },
        status: async () => ({ version: "0.38.25", height: 0, syncing: false }),
        peers: async () => [],
      },
      process: {
        start: (url) => {
          this.#url = url;
        },
        stop: async () => {},
        failure: undefined,
      },
      report: (event) => this.events.push(event),
    });
    ledger.onWork(() => this.#engine?.wake());
    await this.#engine.start();
    await this.connect();
  }

  /** CometBFT's start: four new connections, its mempool empty. */
  async connect(): Promise<void> {
    this.bells = [];
    const open = () => AbciClient.open(this.#url);
    this.connections = {
      consensus: await open(),
      mempool: await open(),
      query: await open(),
      snapshot: await open(),
    };
  }

  disconnect(): void {
    for (const client of Object.values(this.connections)) client.close();
  }

  /** One connection more, as somebody without manners opens it. */
  stranger(): Promise<AbciClient> {
    return AbciClient.open(this.#url);
  }

  async stop(): Promise<void> {
    this.disconnect();
    await this.#engine?.stop("now");
    await this.node.ledger.stop();
  }
}
