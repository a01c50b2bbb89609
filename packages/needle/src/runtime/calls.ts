/** Calls of functions, built-ins and contracts while a program runs. */
import { HanseError } from "@hanse/protocol";
import type { Builtin, BuiltinType, TailValues } from "../builtins/builtin.ts";
import type { CompiledFunction, Site } from "../compiler/closure.ts";
import { type NeedleContract, splitContractName } from "../contracts/unit.ts";
import { declaredTypeText, hasType, typeText, zeroValue } from "../values/convert.ts";
import { NeedleArray, type NeedleValue } from "../values/value.ts";
import { NeedleFault, outOfFuel, panic } from "./fault.ts";
import { Frame } from "./frame.ts";
import {
  FUEL_CALL,
  FUEL_CONTRACT,
  MEMORY_CONTAINER,
  MEMORY_ELEMENT,
  MEMORY_VARIABLE,
} from "./limits.ts";
import type { NeedleRun } from "./run.ts";
import { parentName } from "./system-variables.ts";

/** Steps of a fault's path that are kept. */
const FAULT_STEPS_MAX = 20;

/** Turns what a call threw into a fault that knows this place; bugs go on as they are. */
export function atSite(thrown: unknown, site: Site): unknown {
  let fault: NeedleFault;
  if (thrown instanceof NeedleFault) fault = thrown;
  else if (thrown instanceof HanseError && thrown.kind !== "corrupt") {
    fault = panic(thrown.code, thrown.message);
  } else return thrown;
  if (fault.steps.length < FAULT_STEPS_MAX) fault.steps.push(site);
  return fault;
}

/** A fault of the operation at this place. */
export function located(thrown: unknown, site: Site): unknown {
  if (thrown instanceof NeedleFault && thrown.steps.length > 0) return thrown;
  return atSite(thrown, site);
}

/** What a parameter of a script function takes of an argument. */
export function passArgument(value: NeedleValue, type: string, position: number): NeedleValue {
  switch (type) {
    case "int":
    case "address":
      if (typeof value === "bigint") return value;
      if (typeof value === "number") {
        const whole = Math.trunc(value);
        if (Math.abs(whole) < 2 ** 63) return BigInt(whole);
      }
      break;
    case "string":
      if (typeof value === "string") return value;
      break;
    default:
      return value;
  }
  throw panic(
    "NEEDLE_PARAMETER_TYPE",
    `parameter ${position} has wrong type (${typeText(value)}, expected ${declaredTypeText(
      type as "int" | "string",
    )})`,
  );
}

export interface GivenTail {
  readonly name: string;
  readonly values: NeedleValue[];
}

/** Calls a script function with arguments and tails already computed; leaves its frame. */
export function invoke(
  run: NeedleRun,
  code: CompiledFunction,
  args: readonly NeedleValue[],
  tails: readonly GivenTail[],
  outer: Frame | undefined,
  levels: number,
): Frame {
  const { parameters } = code.signature;
  const variadic = parameters.length > 0 && parameters[parameters.length - 1]!.type === "...";
  const fixed = variadic ? parameters.length - 1 : parameters.length;
  if (args.length < fixed) throw panic("NEEDLE_ARGUMENT_COUNT", "wrong count of parameters");
  // Superfluous arguments: the last ones count.
  const skip = variadic ? 0 : args.length - fixed;
  const locals: NeedleValue[] = new Array(code.slots).fill(null);
  for (let i = 0; i < fixed; i++) {
    locals[i] = passArgument(args[skip + i]!, parameters[i]!.type, i + 1);
  }
  if (variadic) {
    run.useMemory(MEMORY_CONTAINER + MEMORY_ELEMENT * (args.length - fixed));
    locals[fixed] = NeedleArray.of(args.slice(fixed));
  }
  if (code.signature.tails.length > 0) fillTails(run, code, tails, locals);
  run.useFuel(FUEL_CALL + parameters.length);
  run.useMemory(MEMORY_VARIABLE * code.slots);
  const frame = new Frame(run, locals, outer, run.frame);
  run.enter(levels);
  run.frame = frame;
  code.body(frame);
  run.frame = frame.caller;
  run.leave(levels);
  return frame;
}

function fillTails(
  run: NeedleRun,
  code: CompiledFunction,
  given: readonly GivenTail[],
  locals: NeedleValue[],
): void {
  code.signature.tails.forEach((tail, index) => {
    const first = code.tailSlots[index]!;
    const use = given.findLast((one) => one.name === tail.name);
    tail.parameters.forEach(({ type }, i) => {
      if (type === "...") {
        const rest = use?.values.slice(i) ?? [];
        run.useMemory(MEMORY_CONTAINER + MEMORY_ELEMENT * rest.length);
        locals[first + i] = NeedleArray.of(rest);
      } else if (use === undefined) locals[first + i] = zeroValue(type);
      else if (i >= use.values.length) {
        throw panic("NEEDLE_ARGUMENT_COUNT", "wrong count of parameters");
      } else locals[first + i] = use.values[i]!;
    });
    run.useFuel(tail.parameters.length);
  });
}

/** The value a call has in an expression: its last result. */
export function resultOf(frame: Frame, name: string): NeedleValue {
  const { result, results } = frame;
  if (results !== undefined) return results[results.length - 1]!;
  if (result === undefined) {
    throw panic("NEEDLE_NO_RESULT", `stack is empty: function '${name}' has returned no value`);
  }
  return result;
}

const CHECKED: { readonly [type in BuiltinType]: ((value: NeedleValue) => boolean) | undefined } = {
  any: undefined,
  none: undefined,
  bool: (value) => typeof value === "boolean",
  int: (value) => typeof value === "bigint",
  float: (value) => typeof value === "number",
  string: (value) => typeof value === "string",
  bytes: (value) => value instanceof Uint8Array,
  money: (value) => hasType(value, "money"),
  array: (value) => value instanceof NeedleArray,
  map: (value) => hasType(value, "map"),
};

function checkBuiltinArgument(
  builtin: Builtin,
  value: NeedleValue,
  type: BuiltinType,
  position: number,
): void {
  const fits = CHECKED[type];
  if (fits === undefined || fits(value)) return;
  throw panic(
    "NEEDLE_PARAMETER_TYPE",
    `parameter ${position} of ${builtin.name} has wrong type ${typeText(value)}, expected ${type}`,
  );
}

/** Calls a built-in; its price is charged already. */
export function callBuiltin(
  run: NeedleRun,
  builtin: Builtin,
  args: NeedleValue[],
  tails: TailValues,
  site: Site,
): NeedleValue | undefined {
  try {
    const { parameters } = builtin;
    const least = parameters.length - builtin.optional;
    if (args.length < least || (!builtin.variadic && args.length > parameters.length)) {
      throw panic("NEEDLE_ARGUMENT_COUNT", "wrong count of parameters");
    }
    for (let i = 0; i < args.length; i++) {
      const last = parameters.length - 1;
      // Nil reaches a built-in as an empty text, except in a list of any length.
      if (args[i] === null && !(builtin.variadic && i >= last)) args[i] = "";
      const { type } = parameters[Math.min(i, last)]!;
      checkBuiltinArgument(builtin, args[i]!, type, i + 1);
    }
    while (args.length < parameters.length) args.push(null);
    if (builtin.writes && run.readOnly) {
      throw panic(
        "NEEDLE_CONDITIONS_WRITE",
        `${builtin.name} changes the ledger: conditions cannot call it`,
      );
    }
    if (builtin.callers !== undefined) checkCaller(run, builtin, builtin.callers);
    return builtin.run(run, args, tails);
  } catch (thrown) {
    const fault = located(thrown, site);
    if (fault instanceof NeedleFault) fault.builtin ??= builtin.name;
    throw fault;
  }
}

function checkCaller(run: NeedleRun, builtin: Builtin, callers: readonly string[]): void {
  const caller = run.callStack.findLast((name) => name.startsWith("@"));
  if (caller !== undefined && callers.some((name) => caller === `@1${name}`)) return;
  const condition = callers.map((name) => `"@1${name}"`).join(", ");
  throw panic(
    "NEEDLE_CALLER",
    `${builtin.name} can only be called with condition: ContractAccess(${condition})`,
  );
}

/** The contract under a full name. @throws NeedleFault when there is none. */
export function requireContract(run: NeedleRun, fullName: string): NeedleContract {
  const contract = run.host.findContract(fullName);
  if (contract === undefined) {
    throw panic("NEEDLE_UNKNOWN_CONTRACT", `unknown contract ${fullName}`);
  }
  return contract;
}

/** `Name("A,B", a, b)`: values under the names of a comma-separated list. */
export function namedValues(names: NeedleValue, values: readonly NeedleValue[]) {
  const list = typeof names === "string" && names !== "" ? names.split(",") : [];
  if (typeof names !== "string" || list.length !== values.length) {
    throw panic("NEEDLE_CONTRACT_CALL", "wrong contract parameters");
  }
  return new Map(list.map((name, index) => [name, values[index]!] as const));
}

/**
 * Runs a contract in the course of another: its `conditions`, then its `action`. The caller's
 * variables are out of sight meanwhile. Returns its `$result`, nil when unset.
 */
export function callContract(
  run: NeedleRun,
  fullName: string,
  given: ReadonlyMap<string, NeedleValue>,
  levels: number,
): NeedleValue {
  const contract = requireContract(run, fullName);
  if (run.callStack.includes(fullName)) {
    throw panic("NEEDLE_RECURSION", `there is loop in ${fullName} contract`);
  }
  run.useFuel(FUEL_CALL + FUEL_CONTRACT);
  const variables = new Map(given);
  for (const { name, type, optional } of contract.fields) {
    if (variables.has(name)) continue;
    if (!optional) throw panic("NEEDLE_FIELD_MISSING", `${name} is not defined`);
    variables.set(name, zeroValue(type));
  }
  const outer = run.scope;
  run.scope = {
    contract,
    variables,
    parent: parentName(outer.contract, contract),
    outer,
  };
  run.callStack.push(fullName);
  run.enter(levels);
  runParts(run, contract);
  run.leave(levels);
  run.callStack.pop();
  run.scope = outer;
  return variables.get("result") ?? null;
}

/** Closures that stand between a call of a contract and the body of its functions. */
export const CONTRACT_LEVELS = 12;

/** `conditions`, in which nothing may be written, then `action`. */
export function runParts(run: NeedleRun, contract: NeedleContract): void {
  if (contract.conditions !== undefined) runConditions(run, contract.conditions);
  if (contract.action !== undefined) runPart(run, contract.action);
}

/** A part of a contract: like a call, but without its price. */
export function runPart(run: NeedleRun, code: CompiledFunction): Frame {
  run.useMemory(MEMORY_VARIABLE * code.slots);
  const frame = new Frame(run, new Array(code.slots).fill(null), undefined, run.frame);
  run.frame = frame;
  code.body(frame);
  run.frame = frame.caller;
  return frame;
}

export function runConditions(run: NeedleRun, code: CompiledFunction): void {
  const before = run.readOnly;
  run.readOnly = true;
  runPart(run, code);
  run.readOnly = before;
}

/** Ecosystem and name of the contract a text names, seen from the run's ecosystem. */
export function resolveName(run: NeedleRun, name: string): string {
  if (!name.startsWith("@")) return `@${run.system.ecosystemId}${name}`;
  const parts = splitContractName(name);
  return parts === undefined ? `@1${name.slice(1)}` : name;
}

/** Burns the fuel of a statement, or fails at its place. */
export function spend(frame: Frame, cost: number, site: Site): void {
  const { run } = frame;
  run.fuel -= cost;
  if (run.fuel < 0) throw located(outOfFuel(), site);
}
