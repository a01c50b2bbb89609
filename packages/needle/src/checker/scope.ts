import type { TypeName } from "../values/value.ts";
import type { FunctionInfo, LocalReference } from "./resolution.ts";

/** Variables of one function, numbered through all its blocks. */
export class FunctionScope {
  readonly outer: FunctionScope | undefined;
  /** Undefined for the body of a contract and for the top level of a program. */
  readonly info: FunctionInfo | undefined;
  readonly nesting: number;
  slots = 0;

  constructor(outer: FunctionScope | undefined, info: FunctionInfo | undefined) {
    this.outer = outer;
    this.info = info;
    this.nesting = outer === undefined ? 0 : outer.nesting + (outer.info === undefined ? 0 : 1);
  }
}

interface Variable {
  readonly slot: number;
  readonly type: TypeName | "...";
}

/** Names of one block. */
export class BlockScope {
  readonly outer: BlockScope | undefined;
  readonly owner: FunctionScope;
  readonly #variables = new Map<string, Variable>();
  readonly #functions = new Map<string, FunctionInfo>();

  constructor(owner: FunctionScope, outer: BlockScope | undefined) {
    this.owner = owner;
    this.outer = outer;
  }

  /** Undefined when the block has this name already. */
  declare(name: string, type: TypeName | "..."): number | undefined {
    if (this.#variables.has(name)) return undefined;
    const slot = this.owner.slots++;
    this.#variables.set(name, { slot, type });
    return slot;
  }

  hasFunction(name: string): boolean {
    return this.#functions.has(name);
  }

  declareFunction(name: string, info: FunctionInfo): void {
    this.#functions.set(name, info);
  }

  findVariable(name: string): LocalReference | undefined {
    for (let scope: BlockScope | undefined = this; scope; scope = scope.outer) {
      const variable = scope.#variables.get(name);
      if (variable === undefined) continue;
      const dead = scope.owner.info === undefined;
      const hops = dead ? 0 : this.owner.nesting - scope.owner.nesting;
      return { ...variable, hops, dead };
    }
    return undefined;
  }

  /** The function and how many activations further out it was declared. */
  findFunction(name: string): { readonly info: FunctionInfo; readonly hops: number } | undefined {
    for (let scope: BlockScope | undefined = this; scope; scope = scope.outer) {
      const info = scope.#functions.get(name);
      if (info !== undefined) {
        const top = scope.owner.info === undefined;
        return { info, hops: top ? 0 : this.owner.nesting - scope.owner.nesting };
      }
    }
    return undefined;
  }
}
