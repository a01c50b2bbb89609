/** The executing thread's end of the line to the database worker. */
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from "node:worker_threads";
import { type ErrorKind, HanseError } from "@hanse/protocol";
import type {
  Answer,
  AnswerMessage,
  Argument,
  CallMessage,
  CallName,
  WireError,
  WorkerSetup,
} from "../worker/calls.ts";

/** Longest wait of the executing thread for one answer. */
export const BLOCKING_TIMEOUT_MS = 30_000;
/** Questions under way at once; more are refused. */
export const CALLS_MAX = 10_000;

const YOUNG_GENERATION_MB = 24;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

function toError({ code, kind, message, details }: WireError): HanseError {
  return new HanseError(code, kind as ErrorKind, message, { details });
}

export class WorkerLink {
  readonly #worker: Worker;
  readonly #blockingPort: MessagePort;
  readonly #count: Int32Array;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #ended: HanseError | undefined;

  /** @param onEnd called when the worker ends without having been told to. */
  constructor(onEnd: (error: HanseError) => void) {
    const counter = new SharedArrayBuffer(4);
    this.#count = new Int32Array(counter);
    const setup: WorkerSetup = { counter };
    this.#worker = new Worker(new URL("../worker/database-worker.ts", import.meta.url), {
      workerData: setup,
      // Its garbage dies young: a larger nursery only makes the process larger.
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      name: "database",
    });
    const { port1, port2 } = new MessageChannel();
    this.#blockingPort = port1;
    this.#worker.postMessage({ blockingPort: port2 }, [port2]);
    this.#worker.on("message", (message: AnswerMessage) => {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if ("error" in message) waiting?.reject(toError(message.error));
      else waiting?.resolve(message.value);
    });
    const end = (reason: string) => {
      if (this.#ended !== undefined) return;
      this.#ended = new HanseError(
        "STORAGE_WORKER",
        "unavailable",
        `the database worker ended: ${reason}`,
      );
      for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
      this.#waiting.clear();
      onEnd(this.#ended);
    };
    this.#worker.on("error", (error) =>
      end(error instanceof Error ? error.message : String(error)),
    );
    this.#worker.on("exit", (code) => end(`exit ${code}`));
  }

  /** @param transfer memory that moves to the worker instead of being copied. */
  call<Name extends CallName>(
    name: Name,
    argument: Argument<Name>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Answer<Name>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (this.#waiting.size >= CALLS_MAX) {
      return Promise.reject(
        new HanseError("STORAGE_BUSY", "limit", `more than ${CALLS_MAX} database questions wait`),
      );
    }
    const id = this.#nextId++;
    const message: CallMessage = { id, name, argument, blocking: false };
    return new Promise<Answer<Name>>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.postMessage(message, transfer as ArrayBuffer[]);
    });
  }

  /**
   * Stands still until the worker has answered.
   * @param outside asked for a reader outside, under a shorter limit of time.
   * @throws HanseError `STORAGE_QUERY_TIMEOUT` at that limit, `STORAGE_READ_TIMEOUT` after BLOCKING_TIMEOUT_MS, or what the worker answered.
   */
  callBlocking<Name extends CallName>(
    name: Name,
    argument: Argument<Name>,
    outside = false,
  ): Answer<Name> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = this.#nextId++;
    const message: CallMessage = { id, name, argument, blocking: true, outside };
    let seen = Atomics.load(this.#count, 0);
    this.#worker.postMessage(message);
    for (;;) {
      const verdict = Atomics.wait(this.#count, 0, seen, BLOCKING_TIMEOUT_MS);
      seen = Atomics.load(this.#count, 0);
      for (;;) {
        const received = receiveMessageOnPort(this.#blockingPort) as
          | { readonly message: AnswerMessage }
          | undefined;
        if (received === undefined) break;
        const answer = received.message;
        // An answer to a question that was given up earlier.
        if (answer.id !== id) continue;
        if ("error" in answer) throw toError(answer.error);
        return answer.value as Answer<Name>;
      }
      if (verdict === "timed-out") {
        throw new HanseError(
          "STORAGE_READ_TIMEOUT",
          "unavailable",
          `the database did not answer (${name}) within ${BLOCKING_TIMEOUT_MS} ms`,
        );
      }
    }
  }

  async end(how: "drain" | "now"): Promise<void> {
    try {
      await this.call("close", how);
    } finally {
      this.#ended ??= new HanseError("STORAGE_CLOSED", "unavailable", "the store is closed");
      this.#blockingPort.close();
      await this.#worker.terminate();
    }
  }
}
