/** The shape of a built-in function: data about it, and how it works. */
import type { NeedleRun } from "../runtime/run.ts";
import type { Money } from "../values/money.ts";
import type { NeedleArray, NeedleMap, NeedleValue } from "../values/value.ts";

/** Types of parameters and results. `any` takes everything, `none` gives nothing. */
export type BuiltinType =
  | "bool"
  | "bytes"
  | "int"
  | "float"
  | "money"
  | "string"
  | "array"
  | "map"
  | "any"
  | "none";

interface ValueOfType {
  bool: boolean;
  bytes: Uint8Array;
  int: bigint;
  float: number;
  money: Money;
  string: string;
  array: NeedleArray;
  map: NeedleMap;
  any: NeedleValue;
  // biome-ignore lint/suspicious/noConfusingVoidType: what works without a result returns nothing
  none: void;
}
export type ValueOf<T extends BuiltinType> = ValueOfType[T];

export interface BuiltinParameter<T extends BuiltinType = BuiltinType> {
  readonly name: string;
  readonly type: T;
}

/** A named optional argument, given as `.Name(value)` after the call. */
export interface BuiltinTail {
  readonly name: string;
  readonly parameter: BuiltinParameter;
}

/** Values of the tails given, by name; absent ones are missing. */
export type TailValues = ReadonlyMap<string, NeedleValue>;

export type BuiltinRun = (
  run: NeedleRun,
  args: readonly NeedleValue[],
  tails: TailValues,
) => NeedleValue | undefined;

export interface Builtin {
  readonly name: string;
  readonly parameters: readonly BuiltinParameter[];
  /** How many of the last parameters may be left out. */
  readonly optional: number;
  /** The last parameter takes any number of arguments, one at least. */
  readonly variadic: boolean;
  readonly tails: readonly BuiltinTail[];
  readonly result: BuiltinType;
  /** Price of a call. What it works through costs on top of it. */
  readonly fuel: number;
  /** It changes the ledger: refused in `conditions`. */
  readonly writes: boolean;
  /** Contracts of ecosystem 1 that may call it; undefined when everybody may. */
  readonly callers: readonly string[] | undefined;
  /** `lenient`: only for programs of that profile. */
  readonly profile: "all" | "lenient";
  /** Implemented by the host. */
  readonly host: boolean;
  readonly doc: string;
  readonly run: BuiltinRun;
}

type ValuesOf<P extends readonly BuiltinParameter[]> = {
  readonly [index in keyof P]: P[index] extends BuiltinParameter<infer T> ? ValueOf<T> : never;
};

export interface BuiltinOptions {
  readonly fuel?: number;
  readonly writes?: boolean;
  readonly callers?: readonly string[];
  readonly profile?: "all" | "lenient";
  readonly optional?: number;
  readonly tails?: readonly BuiltinTail[];
  readonly host?: boolean;
}

export const DEFAULT_PRICE = 50;

export function parameter<T extends BuiltinType>(name: string, type: T): BuiltinParameter<T> {
  return { name, type };
}

/** A built-in with a fixed list of parameters (the last `optional` ones may be nil when absent). */
export function builtin<P extends readonly BuiltinParameter[], R extends BuiltinType>(
  name: string,
  parameters: readonly [...P],
  result: R,
  doc: string,
  options: BuiltinOptions,
  work: (run: NeedleRun, ...values: ValuesOf<P>) => ValueOf<R>,
): Builtin {
  const untyped = work as (run: NeedleRun, ...values: unknown[]) => NeedleValue | undefined;
  let run: BuiltinRun;
  switch (parameters.length) {
    case 0:
      run = (state) => untyped(state);
      break;
    case 1:
      run = (state, args) => untyped(state, args[0]);
      break;
    case 2:
      run = (state, args) => untyped(state, args[0], args[1]);
      break;
    default:
      run = (state, args) => untyped(state, ...args);
  }
  return define(name, parameters, false, result, doc, options, run);
}

/** A built-in whose last parameter takes one or more arguments, given as one list. */
export function variadicBuiltin<R extends BuiltinType>(
  name: string,
  parameters: readonly BuiltinParameter[],
  result: R,
  doc: string,
  options: BuiltinOptions,
  work: (run: NeedleRun, args: readonly NeedleValue[]) => ValueOf<R>,
): Builtin {
  const run = (state: NeedleRun, args: readonly NeedleValue[]) =>
    work(state, args) as NeedleValue | undefined;
  return define(name, parameters, true, result, doc, options, run);
}

/** A built-in with tails. */
export function tailedBuiltin(
  name: string,
  parameters: readonly BuiltinParameter[],
  tails: readonly BuiltinTail[],
  result: BuiltinType,
  doc: string,
  options: BuiltinOptions,
  run: BuiltinRun,
): Builtin {
  return define(name, parameters, false, result, doc, { ...options, tails }, run);
}

function define(
  name: string,
  parameters: readonly BuiltinParameter[],
  variadic: boolean,
  result: BuiltinType,
  doc: string,
  options: BuiltinOptions,
  run: BuiltinRun,
): Builtin {
  return {
    name,
    parameters,
    optional: options.optional ?? 0,
    variadic,
    tails: options.tails ?? [],
    result,
    fuel: options.fuel ?? DEFAULT_PRICE,
    writes: options.writes ?? false,
    callers: options.callers,
    profile: options.profile ?? "all",
    host: options.host ?? false,
    doc,
    run,
  };
}
