/** Hands final blocks to the application, one by one, and commits them a bounded way behind. */
import {
  bitmapToIndices,
  type Certificate,
  decodeCertificate,
  encodeCertificate,
  equalBytes,
  type Hash,
  toHanseError,
  toHex,
} from "@hanse/protocol";
import type { Body } from "../core/events.ts";
import type { Height } from "../engine/interfaces.ts";
import type { Persistence } from "./persistence.ts";
import type { Runtime } from "./runtime.ts";

/** Blocks kept in memory for peers that lag by a little, above what is committed. */
const RECENT_MAX = 16;
const RECENT_BYTES_MAX = 16 * 1024 * 1024;

export interface RecentBlock {
  readonly height: Height;
  readonly bytes: Uint8Array;
  readonly certificate: Uint8Array;
}

export class Executor {
  readonly #runtime: Runtime;
  readonly #persistence: Persistence;
  readonly #recent = new Map<Height, RecentBlock>();
  #stateRoot: Hash;
  #resultsRoot: Hash;
  #executed: Height;
  #committed: Height;
  #commitsWaiting: { readonly height: Height; readonly after: number }[] = [];
  #committing = false;
  #onRoom: (() => void) | undefined;
  #onIdle: (() => void)[] = [];
  #executing = false;

  constructor(
    runtime: Runtime,
    persistence: Persistence,
    at: { readonly height: Height; readonly stateRoot: Hash; readonly resultsRoot: Hash },
  ) {
    this.#runtime = runtime;
    this.#persistence = persistence;
    this.#executed = at.height;
    this.#committed = at.height;
    this.#stateRoot = at.stateRoot;
    this.#resultsRoot = at.resultsRoot;
  }

  get executed(): Height {
    return this.#executed;
  }

  get committed(): Height {
    return this.#committed;
  }

  recent(height: Height): RecentBlock | undefined {
    return this.#recent.get(height);
  }

  /** Resolves when nothing is being executed or committed. */
  async idle(): Promise<void> {
    while (this.#executing || this.#committing || this.#commitsWaiting.length > 0) {
      if (this.#runtime.stopped) return;
      await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    }
  }

  execute(body: Body, certificate: Certificate, agreedMs: number | undefined): void {
    this.#executing = true;
    this.#run(body, certificate, agreedMs).then(
      () => {
        this.#executing = false;
        this.#wakeIdle();
      },
      (thrown: unknown) => {
        const error = toHanseError(thrown);
        this.#runtime.halt("ORDERING_EXECUTION", `${error.code}: ${error.message}`);
        this.#wakeIdle();
      },
    );
  }

  async #run(body: Body, certificate: Certificate, agreedMs: number | undefined): Promise<void> {
    const { options, tuning } = this.#runtime;
    const { header } = body.block;
    const { height } = header;
    while (this.#executed - this.#committed >= tuning.commitLagMax) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    }
    if (this.#runtime.stopped) return;
    if (
      !equalBytes(header.prevStateRoot, this.#stateRoot) ||
      !equalBytes(header.prevResultsRoot, this.#resultsRoot)
    ) {
      this.#runtime.halt(
        "ORDERING_DIVERGED",
        `the quorum's state after height ${height - 1} has root ${toHex(header.prevStateRoot)} and ` +
          `results ${toHex(header.prevResultsRoot)}; this node's has ${toHex(this.#stateRoot)} and ` +
          `${toHex(this.#resultsRoot)}: compare versions and data, then rebuild this node from others`,
      );
      return;
    }
    const { recovery } = options;
    if (recovery?.height === height && !equalBytes(recovery.blockHash, body.hash)) {
      this.#runtime.halt(
        "ORDERING_RECOVERY_BLOCK",
        `final block ${height} is another one than the recovery document names`,
      );
      return;
    }
    const started = options.clock.now();
    const result = await options.app.finalizeBlock({
      block: body.block,
      hash: body.hash,
      proof: { kind: "qc", header, certificate },
    });
    if (this.#runtime.stopped) return;
    this.#stateRoot = result.stateRoot;
    this.#resultsRoot = result.resultsRoot;
    this.#executed = height;
    const encoded = encodeCertificate(certificate);
    this.#remember({ height, bytes: body.bytes, certificate: encoded });
    const { lastCert } = body.block;
    const below = lastCert.length === 0 ? undefined : decodeCertificate(lastCert).signatures.length;
    this.#runtime.report({
      t: "final",
      height,
      proposer: header.proposer,
      views: certificate.view + 1,
      signers: bitmapToIndices(certificate.signers).length,
      bytes: body.bytes.length,
      transactions: header.txCount,
      certificateBytes: encoded.length,
      ...(below === undefined ? {} : { presentBelow: below }),
      agreedMs,
      executedMs: options.clock.now() - started,
    });
    this.#runtime.step({ t: "executed", height, result, hasWork: this.#runtime.hasWork() });
  }

  #remember(block: RecentBlock): void {
    this.#recent.set(block.height, block);
    let bytes = 0;
    for (const kept of this.#recent.values()) bytes += kept.bytes.length;
    for (const [height, kept] of this.#recent) {
      if (this.#recent.size <= RECENT_MAX && bytes <= RECENT_BYTES_MAX) break;
      // What is not committed yet has no other home to be served from.
      if (height > this.#committed) break;
      this.#recent.delete(height);
      bytes -= kept.bytes.length;
    }
  }

  commit(height: Height, after: number): void {
    this.#commitsWaiting.push({ height, after });
    if (this.#committing) return;
    this.#committing = true;
    this.#commitAll().then(
      () => {
        this.#committing = false;
        this.#wakeIdle();
      },
      (thrown: unknown) => {
        const error = toHanseError(thrown);
        this.#runtime.halt("ORDERING_COMMIT", `${error.code}: ${error.message}`);
        this.#wakeIdle();
      },
    );
  }

  async #commitAll(): Promise<void> {
    for (;;) {
      const next = this.#commitsWaiting.shift();
      if (next === undefined) return;
      await this.#persistence.whenDurable(next.after);
      if (this.#runtime.stopped) return;
      await this.#runtime.options.app.commit(next.height);
      if (this.#runtime.stopped) return;
      this.#committed = next.height;
      this.#persistence.prune(next.height);
      this.#runtime.report({ t: "committed", height: next.height });
      const room = this.#onRoom;
      this.#onRoom = undefined;
      room?.();
    }
  }

  #wakeIdle(): void {
    const waiting = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiting) resolve();
  }
}
