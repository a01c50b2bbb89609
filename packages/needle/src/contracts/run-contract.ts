/** Running what was compiled: contracts, free functions, conditions. */
import { HanseError } from "@hanse/protocol";
import type { NeedleHost, SystemValues } from "../host/host.ts";
import { CONTRACT_LEVELS, invoke, runConditions, runParts } from "../runtime/calls.ts";
import { ConditionCache } from "../runtime/condition-cache.ts";
import { type FaultKind, type FaultStep, NeedleFault } from "../runtime/fault.ts";
import {
  DEFAULT_FUEL,
  DEFAULT_MEMORY_BYTES,
  ERROR_BYTES_MAX,
  RESULT_BYTES_MAX,
} from "../runtime/limits.ts";
import { type ContractScope, NeedleRun } from "../runtime/run.ts";
import { byteLength, sliceBytes } from "../values/byte-text.ts";
import { toText } from "../values/convert.ts";
import type { NeedleValue } from "../values/value.ts";
import type { NeedleContract, NeedleFunction } from "./unit.ts";

export interface RunOptions {
  readonly host: NeedleHost;
  readonly system: SystemValues;
  /** Fuel the run may burn. 20 000 000 unless said otherwise. */
  readonly fuel?: number;
  /** Bytes its values may take by the language's own accounting. 128 MiB unless said otherwise. */
  readonly memoryBytes?: number;
  /** Compiled conditions shared by runs. */
  readonly conditions?: ConditionCache;
}

/** Why a run failed. */
export interface RunError {
  readonly kind: FaultKind;
  /** Stable: `NEEDLE_…`, or the code a host gave. */
  readonly code: string;
  readonly message: string;
  /** Identifier given to `Throw`. */
  readonly id: string | undefined;
  /** Full name of the contract (or name of the function) in which it happened, and where. */
  readonly contract: string;
  readonly line: number;
  readonly column: number;
  /** Built-in function that failed. */
  readonly builtin: string | undefined;
  /** Call path, innermost first. */
  readonly steps: readonly FaultStep[];
}

export interface RunResult {
  /** `$result`, or what the function returned; nil when it was not set or the run failed. */
  readonly value: NeedleValue;
  /** Text of the result, cut to 255 bytes. */
  readonly text: string;
  readonly error: RunError | undefined;
  /** Fuel burnt; the whole limit when it was not enough. */
  readonly fuelUsed: bigint;
  /** Bytes accounted when the run ended. */
  readonly memoryUsed: number;
}

/**
 * Runs a contract as a transaction does: `conditions`, then `action`, with the values that
 * `checkParams` made of its parameters. Failures of the contract are results; what is thrown is a
 * bug or a broken node.
 */
export function runContract(
  contract: NeedleContract,
  values: ReadonlyMap<string, NeedleValue>,
  options: RunOptions,
): RunResult {
  const scope = topScope(contract, values);
  return start(options, scope, contract.fullName, (run) => {
    run.useFuel(contract.baseFuel);
    run.callStack.push(contract.fullName);
    runParts(run, contract);
    return scope.variables.get("result") ?? null;
  });
}

/** Runs only the `conditions` of a contract: what admission can check beforehand. */
export function runContractConditions(
  contract: NeedleContract,
  values: ReadonlyMap<string, NeedleValue>,
  options: RunOptions,
): RunResult {
  return start(options, topScope(contract, values), contract.fullName, (run) => {
    run.useFuel(contract.baseFuel);
    run.callStack.push(contract.fullName);
    if (contract.conditions !== undefined) runConditions(run, contract.conditions);
    return null;
  });
}

/** Calls a free function outside of any contract, without the right to write. */
export function runFunction(
  fn: NeedleFunction,
  args: readonly NeedleValue[],
  options: RunOptions,
): RunResult {
  return start(options, topScope(undefined, new Map()), fn.name, (run) => {
    run.readOnly = true;
    const frame = invoke(run, fn.code, args, [], undefined, CONTRACT_LEVELS);
    return frame.results?.at(-1) ?? frame.result ?? null;
  });
}

/** Evaluates the text of a condition outside of any contract, e.g. for the rights of a reader. */
export function evaluateCondition(
  text: string,
  variables: ReadonlyMap<string, NeedleValue>,
  options: RunOptions,
): RunResult {
  return start(options, topScope(undefined, new Map()), "condition", (run) =>
    run.evaluate(text, variables),
  );
}

function topScope(
  contract: NeedleContract | undefined,
  values: ReadonlyMap<string, NeedleValue>,
): ContractScope & { readonly variables: Map<string, NeedleValue> } {
  return { contract, variables: new Map(values), parent: "", outer: undefined };
}

function start(
  options: RunOptions,
  scope: ContractScope,
  place: string,
  work: (run: NeedleRun) => NeedleValue,
): RunResult {
  const limits = {
    fuel: options.fuel ?? DEFAULT_FUEL,
    memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES,
  };
  const conditions = options.conditions ?? new ConditionCache(100);
  const run = new NeedleRun(options.host, options.system, limits, conditions, scope);
  let value: NeedleValue = null;
  let text = "";
  let error: RunError | undefined;
  try {
    value = work(run);
    text = resultText(run, value);
  } catch (thrown) {
    error = runError(thrown, place);
    value = null;
  }
  const fuelUsed = BigInt(run.fuelUsed);
  return { value, text, error, fuelUsed, memoryUsed: run.memory };
}

function resultText(run: NeedleRun, value: NeedleValue): string {
  const text = toText(value, run);
  if (!text.isWellFormed()) {
    throw new NeedleFault("panic", "NEEDLE_RESULT", "result is not valid utf-8 string");
  }
  if (byteLength(text) <= RESULT_BYTES_MAX) return text;
  return `${cutText(text, RESULT_BYTES_MAX)}...`;
}

/** At most this many bytes, no character cut apart. */
function cutText(text: string, bytes: number): string {
  const cut = sliceBytes(text.slice(0, bytes), 0, bytes);
  return cut.isWellFormed() ? cut : cut.replace(/[\udc80-\udcff]+$/, "").toWellFormed();
}

function runError(thrown: unknown, place: string): RunError {
  let fault: NeedleFault;
  if (thrown instanceof NeedleFault) fault = thrown;
  else if (thrown instanceof HanseError && thrown.kind !== "corrupt") {
    fault = new NeedleFault("panic", thrown.code, thrown.message);
  } else if (thrown instanceof RangeError && thrown.message.includes("call stack")) {
    // The levels of calls are bounded far below this; a smaller stack would end runs elsewhere.
    const message = "host stack is smaller than the language needs: start with a larger stack";
    throw new HanseError("NEEDLE_HOST_STACK", "corrupt", message, { cause: thrown });
  } else throw thrown;
  const first = fault.steps[0];
  return {
    kind: fault.kind,
    code: fault.code,
    message: fault.message,
    id: fault.id,
    contract: first?.contract ?? place,
    line: first?.line ?? 0,
    column: first?.column ?? 0,
    builtin: fault.builtin,
    steps: fault.steps,
  };
}

/** One sentence for a person: message and place. */
export function runErrorToText(error: RunError): string {
  const path = error.steps.map((step) => `${step.contract}:${step.line}:${step.column}`);
  const place = path.length > 0 ? path.join(" ") : error.contract;
  const builtin = error.builtin === undefined ? "" : `${error.builtin} `;
  return `${error.message} [${builtin}${place}]`;
}

/**
 * The error object of transaction statuses: type, text of at most 150 bytes with the call path for
 * what no statement of the contract said, id of `Throw`.
 */
export function runErrorToStatus(error: RunError): {
  readonly type: string;
  readonly error: string;
  readonly id?: string;
} {
  const said = error.kind !== "panic" && error.kind !== "limit";
  const steps = error.steps.map((step) => `${step.contract}:${step.line}`);
  const builtin = error.builtin === undefined ? "" : `${error.builtin} `;
  const suffix = said || steps.length === 0 ? "" : ` [${builtin}${steps.join(" ")}]`;
  const text = error.message + suffix;
  const cut = byteLength(text) > ERROR_BYTES_MAX ? `${cutText(text, ERROR_BYTES_MAX)}...` : text;
  const type = error.kind === "limit" ? "panic" : error.kind;
  return error.id === undefined ? { type, error: cut } : { type, error: cut, id: error.id };
}
