/**
 * Verifies signatures in threads, because it is more than half of a transaction's cost and does not
 * need the main thread. Claims travel packed in transferred buffers.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { SignatureClaim } from "@hanse/ledger";
import { HanseError, SIGNATURE_BYTES, verifySignature } from "@hanse/protocol";
import { packClaims } from "./claim-packing.ts";

/** So few claims are verified on the spot when no thread is busy: the way costs more. */
const DIRECT_CLAIMS_MAX = 2;
/** So few urgent claims are verified on the spot in any case, at some 55 us each. */
const URGENT_DIRECT_MAX = 4;
const CHUNK_CLAIMS_MIN = 16;
const CHUNK_CLAIMS_MAX = 128;
/** Chunks handed to one thread at a time, so that it never waits for the main thread. */
const CHUNKS_PER_THREAD = 2;
const THREADS_MAX = 4;
/** Its garbage is small and short-lived; the runtime's default would keep tens of MiB resident. */
const YOUNG_GENERATION_MB = 4;
/** Claims waiting or under way; the ledger's own bounds lie below. */
const CLAIMS_WAITING_MAX = 200_000;

export interface VerificationPool {
  /**
   * One verdict per claim, in order. Call `readyKeyBackends` before.
   * @throws HanseError `NODE_VERIFIERS_BUSY`, `NODE_VERIFIERS_STOPPED`.
   */
  verify(claims: readonly SignatureClaim[]): Promise<readonly boolean[]>;
  /** The same, before everything that waits: for votes and certificates. */
  verifyUrgent(claims: readonly SignatureClaim[]): Promise<readonly boolean[]>;
  close(): Promise<void>;
  readonly threads: number;
  /** Claims waiting or under way. */
  readonly pending: number;
}

interface Chunk {
  readonly claims: readonly SignatureClaim[];
  readonly done: (verdicts: Uint8Array) => void;
  readonly fail: (error: HanseError) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly chunks: Map<number, Chunk>;
}

/** `count` 0 = one per core, at most four. `onFailure` is told when a thread dies. */
export function createVerificationPool(
  count: number,
  onFailure: (error: HanseError) => void,
): VerificationPool {
  const size = count === 0 ? Math.min(THREADS_MAX, availableParallelism()) : count;
  const queue: Chunk[] = [];
  const threads: Thread[] = [];
  let jobs = 0;
  let pending = 0;
  let stopped: HanseError | undefined;

  function stop(error: HanseError): void {
    if (stopped !== undefined) return;
    stopped = error;
    for (const chunk of queue.splice(0)) chunk.fail(error);
    for (const thread of threads) for (const chunk of thread.chunks.values()) chunk.fail(error);
  }

  function dispatch(): void {
    while (queue.length > 0) {
      let idlest = threads[0]!;
      for (const thread of threads) if (thread.chunks.size < idlest.chunks.size) idlest = thread;
      if (idlest.chunks.size >= CHUNKS_PER_THREAD) return;
      const chunk = queue.shift()!;
      const job = ++jobs;
      idlest.chunks.set(job, chunk);
      const packed = packClaims(chunk.claims);
      idlest.worker.postMessage({ job, packed, count: chunk.claims.length }, [packed.buffer]);
    }
  }

  for (let i = 0; i < size; i++) {
    const worker = new Worker(new URL("./verification-worker.ts", import.meta.url), {
      name: `verify-${i}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    const thread: Thread = { worker, chunks: new Map() };
    worker.on("message", ({ job, verdicts }: { job: number; verdicts: Uint8Array }) => {
      const chunk = thread.chunks.get(job)!;
      thread.chunks.delete(job);
      chunk.done(verdicts);
      dispatch();
    });
    const died = (cause: unknown) => {
      if (stopped !== undefined) return;
      const error = new HanseError(
        "NODE_VERIFIERS_STOPPED",
        "corrupt",
        "a thread that verifies signatures died",
        { cause },
      );
      stop(error);
      onFailure(error);
    };
    worker.on("error", died);
    worker.on("exit", died);
    threads.push(thread);
  }

  function runChunk(claims: readonly SignatureClaim[], urgent: boolean): Promise<Uint8Array> {
    return new Promise((done, fail) => {
      const chunk = { claims, done, fail };
      if (urgent) queue.unshift(chunk);
      else queue.push(chunk);
      dispatch();
    });
  }

  async function verify(claims: readonly SignatureClaim[], urgent: boolean): Promise<boolean[]> {
    if (stopped !== undefined) throw stopped;
    const direct = urgent ? URGENT_DIRECT_MAX : pending === 0 ? DIRECT_CLAIMS_MAX : 0;
    if (claims.length <= direct) {
      return claims.map((c) => verifySignature(c.key, c.message, c.signature));
    }
    if (pending + claims.length > CLAIMS_WAITING_MAX) {
      throw new HanseError("NODE_VERIFIERS_BUSY", "limit", "too many signatures wait: try again", {
        details: { retryAfterSeconds: 1 },
      });
    }
    // Another length is false whatever the rest says, and would not fit the packed form.
    const fit = claims.filter((c) => c.signature.length === SIGNATURE_BYTES);
    const step = Math.min(
      CHUNK_CLAIMS_MAX,
      Math.max(CHUNK_CLAIMS_MIN, Math.ceil(fit.length / size)),
    );
    pending += fit.length;
    try {
      const running: Promise<Uint8Array>[] = [];
      for (let i = 0; i < fit.length; i += step) {
        running.push(runChunk(fit.slice(i, i + step), urgent));
      }
      const chunks = await Promise.all(running);
      const verdicts: boolean[] = [];
      let at = 0;
      for (const claim of claims) {
        const asked = claim.signature.length === SIGNATURE_BYTES;
        verdicts.push(asked && chunks[Math.floor(at / step)]![at % step] === 1);
        if (asked) at++;
      }
      return verdicts;
    } finally {
      pending -= fit.length;
    }
  }

  return {
    threads: size,
    get pending() {
      return pending;
    },
    verify: (claims) => verify(claims, false),
    verifyUrgent: (claims) => verify(claims, true),
    async close() {
      stop(new HanseError("NODE_VERIFIERS_STOPPED", "unavailable", "the node is stopping"));
      await Promise.all(threads.map((thread) => thread.worker.terminate()));
    },
  };
}
