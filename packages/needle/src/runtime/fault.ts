/** How a run of Needle ends when it does not end well. */

/**
 * `error`, `warning`, `info`: said by the statement of that name. `exception`: said by `Throw`.
 * `panic`: an operation that cannot be done. `limit`: fuel, memory, depth or a size is used up.
 */
export type FaultKind = "error" | "warning" | "info" | "exception" | "panic" | "limit";

/** A place in a source, both from 1; column counts UTF-16 units. */
export interface SourcePlace {
  readonly line: number;
  readonly column: number;
}

/** One step of the call path, innermost first. */
export interface FaultStep {
  /** Full name of the contract, or of the function when there is no contract. */
  readonly contract: string;
  readonly line: number;
  readonly column: number;
}

export const FAULT_MESSAGE_CHARS_MAX = 2_000;

/**
 * Ends a run. Thrown by the runtime and by hosts (without a place: the call adds it); never leaves
 * `runContract`, which turns it into a result.
 */
export class NeedleFault extends Error {
  readonly kind: FaultKind;
  /** Stable, `NEEDLE_…`, or the code of the HanseError that a host threw. */
  readonly code: string;
  /** Identifier given to `Throw`. */
  readonly id: string | undefined;
  /** Built-in function in which it happened. */
  builtin: string | undefined;
  readonly steps: FaultStep[] = [];

  constructor(kind: FaultKind, code: string, message: string, id?: string) {
    super(
      message.length > FAULT_MESSAGE_CHARS_MAX
        ? `${message.slice(0, FAULT_MESSAGE_CHARS_MAX)}...`.toWellFormed()
        : message.toWellFormed(),
    );
    this.name = "NeedleFault";
    this.kind = kind;
    this.code = code;
    this.id = id;
  }
}

/** A fault of kind `panic`. */
export function panic(code: string, message: string): NeedleFault {
  return new NeedleFault("panic", code, message);
}

/** A fault of kind `limit`. */
export function limitFault(code: string, message: string): NeedleFault {
  return new NeedleFault("limit", code, message);
}

export function outOfFuel(): NeedleFault {
  return limitFault("NEEDLE_FUEL", "runtime cost limit overflow");
}

export function outOfMemory(): NeedleFault {
  return limitFault("NEEDLE_MEMORY", "Memory limit exceeded");
}
