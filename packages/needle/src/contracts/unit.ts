/** What compiling a program gives. */
import type { CompiledFunction } from "../compiler/closure.ts";
import type { NeedleValue, TypeName } from "../values/value.ts";

/** `strict`: types of variables and results are enforced. `lenient`: as older programs need it. */
export type NeedleProfile = "strict" | "lenient";

/** A field of `data`: what a transaction has to give. */
export interface ContractField {
  readonly name: string;
  readonly type: TypeName;
  readonly optional: boolean;
  /** Words of the tag, as written. */
  readonly tags: readonly string[];
}

export interface ParameterSignature {
  readonly name: string;
  readonly type: TypeName | "...";
}

export interface TailSignature {
  readonly name: string;
  readonly parameters: readonly ParameterSignature[];
}

/** What callers must know of a function. */
export interface FunctionSignature {
  readonly name: string;
  readonly parameters: readonly ParameterSignature[];
  readonly tails: readonly TailSignature[];
  readonly results: readonly TypeName[];
  /** It may change the ledger, itself or through what it calls. */
  readonly writes: boolean;
}

/** What callers must know of a contract. */
export interface ContractSignature {
  /** `@1Name`. */
  readonly fullName: string;
  readonly fields: readonly ContractField[];
  readonly writes: boolean;
}

export interface NeedleFunction extends FunctionSignature {
  readonly profile: NeedleProfile;
  /** Ecosystem of the program it stands in. */
  readonly ecosystem: bigint;
  readonly code: CompiledFunction;
}

export interface NeedleContract extends ContractSignature {
  /** Without ecosystem. */
  readonly name: string;
  readonly ecosystem: bigint;
  readonly profile: NeedleProfile;
  readonly settings: ReadonlyMap<string, NeedleValue>;
  readonly conditions: CompiledFunction | undefined;
  readonly action: CompiledFunction | undefined;
  /** Fuel of starting it at top level. */
  readonly baseFuel: number;
}

/** A compiled program: all its contracts and free functions. */
export interface NeedleUnit {
  readonly contracts: readonly NeedleContract[];
  readonly functions: readonly NeedleFunction[];
}

/** An expression compiled for itself, such as an access condition. */
export interface NeedleCondition {
  readonly text: string;
  readonly ecosystem: bigint;
  readonly code: CompiledFunction;
}

/** `@1Name` of a name as it may be written: `Name` (of this ecosystem), `@Name` (of 1), `@7Name`. */
export function fullContractName(name: string, ecosystem: bigint): string {
  if (!name.startsWith("@")) return `@${ecosystem}${name}`;
  const digit = name.charCodeAt(1);
  return digit >= 48 && digit <= 57 ? name : `@1${name.slice(1)}`;
}

/** Ecosystem and bare name of a full name; undefined when the text is none. */
export function splitContractName(
  fullName: string,
): { readonly ecosystem: bigint; readonly name: string } | undefined {
  const match = /^@([0-9]{1,18})([^0-9].*)$/u.exec(fullName);
  return match === null ? undefined : { ecosystem: BigInt(match[1]!), name: match[2]! };
}
