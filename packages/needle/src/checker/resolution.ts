/** What the checker finds out about a program: which name means what. */
import type { Builtin } from "../builtins/builtin.ts";
import type { ContractSignature, FunctionSignature, NeedleProfile } from "../contracts/unit.ts";
import type { SourceRange } from "../diagnostics/diagnostic.ts";
import type {
  Arguments,
  CallExpression,
  ContractDeclaration,
  FunctionDeclaration,
  NameExpression,
  VarStatement,
} from "../parser/ast.ts";
import type { TypeName } from "../values/value.ts";

/** Names that exist around a program. */
export interface NeedleEnvironment {
  /** Ecosystem of the program: bare contract names belong to it. */
  readonly ecosystem: bigint;
  /** Contract installed under a full name. */
  findContract?(fullName: string): ContractSignature | undefined;
  /** Free function of another program. */
  findFunction?(name: string): FunctionSignature | undefined;
  /** Take unknown functions for contracts or functions that will be there when the call runs. */
  readonly externMode?: boolean;
  /** `strict` unless said otherwise. */
  readonly profile?: NeedleProfile;
}

/** A local variable as seen from a place: `hops` functions further out, at `slot`. */
export interface LocalReference {
  readonly hops: number;
  readonly slot: number;
  readonly type: TypeName | "...";
  /** It stands in the body of a contract, outside of any function: it never exists at run time. */
  readonly dead: boolean;
}

/** A function of the program and what is known of it. */
export interface FunctionInfo {
  readonly declaration: FunctionDeclaration;
  /** How many functions stand around it. */
  readonly nesting: number;
  readonly tailSlots: readonly number[];
  slots: number;
  writes: boolean;
}

export type CallTarget =
  /** Function of the program; `hops` as for a variable. */
  | { readonly kind: "local"; readonly info: FunctionInfo; readonly hops: number }
  | { readonly kind: "external"; readonly signature: FunctionSignature }
  | { readonly kind: "builtin"; readonly builtin: Builtin }
  | { readonly kind: "contract"; readonly fullName: string }
  /** Function or contract, whatever is there when the call runs. */
  | { readonly kind: "dynamic"; readonly name: string }
  /** `$name(…)`: no program can put a function there. */
  | { readonly kind: "variable"; readonly name: string };

export interface TailUse {
  readonly name: string;
  readonly arguments: Arguments;
}

/** One call of a chain; the result of the step before is its first argument. */
export interface CallStep {
  readonly target: CallTarget;
  readonly arguments: Arguments;
  readonly tails: readonly TailUse[];
  readonly range: SourceRange;
}

export interface ContractInfo {
  readonly fullName: string;
  readonly writes: boolean;
}

export interface Resolution {
  readonly calls: Map<CallExpression, readonly CallStep[]>;
  readonly names: Map<NameExpression, LocalReference>;
  readonly variables: Map<VarStatement, readonly LocalReference[]>;
  readonly functions: Map<FunctionDeclaration, FunctionInfo>;
  readonly contracts: Map<ContractDeclaration, ContractInfo>;
}
