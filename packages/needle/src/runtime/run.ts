/** The state of one run: fuel, memory, call stack, scopes of contracts. */
import type { NeedleContract } from "../contracts/unit.ts";
import type { NeedleCall, NeedleHost, SystemValues } from "../host/host.ts";
import { measureValue } from "../values/measure.ts";
import type { NeedleValue } from "../values/value.ts";
import type { ConditionCache } from "./condition-cache.ts";
import { evaluateStored } from "./conditions.ts";
import { limitFault, outOfFuel, outOfMemory } from "./fault.ts";
import type { Frame } from "./frame.ts";
import { CALL_DEPTH_MAX, CALL_LEVELS_MAX, FUEL_ELEMENTS } from "./limits.ts";

/** `$` variables of one running contract. */
export interface ContractScope {
  readonly contract: NeedleContract | undefined;
  /** Data fields and variables; system variables are not among them. */
  readonly variables: Map<string, NeedleValue>;
  /** `$parent`. */
  readonly parent: string;
  readonly outer: ContractScope | undefined;
  /** The variables are those of a stored condition, not of the contract. */
  readonly stored?: true;
}

export interface RunLimits {
  readonly fuel: number;
  readonly memoryBytes: number;
}

export class NeedleRun implements NeedleCall {
  readonly host: NeedleHost;
  readonly system: SystemValues;
  readonly conditions: ConditionCache;
  readonly fuelLimit: number;
  readonly memoryLimit: number;
  fuel: number;
  memory = 0;
  /** Memory beyond which a loop looks again at what is still in use. */
  recountAt: number;
  depth = 0;
  levels = 0;
  readOnly = false;
  frame: Frame | undefined;
  scope: ContractScope;
  /** Scope of the contract that the transaction called. */
  topScope: ContractScope;
  /** Names on the call stack; full names begin with `@`. */
  readonly callStack: string[] = [];
  /** Random numbers drawn so far. */
  randomDrawn = 0;

  constructor(
    host: NeedleHost,
    system: SystemValues,
    limits: RunLimits,
    conditions: ConditionCache,
    scope: ContractScope,
  ) {
    this.host = host;
    this.system = system;
    this.conditions = conditions;
    this.fuelLimit = limits.fuel;
    this.fuel = limits.fuel;
    this.memoryLimit = limits.memoryBytes;
    this.recountAt = limits.memoryBytes / 2;
    this.scope = scope;
    this.topScope = scope;
  }

  get fuelUsed(): number {
    return this.fuelLimit - Math.max(0, this.fuel);
  }

  get contractName(): string {
    return this.scope.contract?.fullName ?? "";
  }

  variable(name: string): NeedleValue | undefined {
    return this.scope.variables.get(name);
  }

  useFuel(units: number): void {
    this.fuel -= units;
    if (this.fuel < 0) throw outOfFuel();
  }

  useMemory(bytes: number): void {
    this.memory += bytes;
    if (this.memory > this.memoryLimit) throw outOfMemory();
  }

  evaluate(condition: string, extra?: ReadonlyMap<string, NeedleValue>): boolean {
    return evaluateStored(this, condition, extra);
  }

  /** What conditions see: the transaction's data fields, and what a stored condition was given. */
  conditionVariables(): Map<string, NeedleValue> {
    if (this.scope.stored) return new Map(this.scope.variables);
    const variables = new Map<string, NeedleValue>();
    for (const { name } of this.topScope.contract?.fields ?? []) {
      const value = this.topScope.variables.get(name);
      if (value !== undefined) variables.set(name, value);
    }
    return variables;
  }

  /** Begins a call that lies `levels` deep in its function; `leave` ends it. */
  enter(levels: number): void {
    this.depth += 1;
    this.levels += levels;
    if (this.depth > CALL_DEPTH_MAX || this.levels > CALL_LEVELS_MAX) {
      throw limitFault("NEEDLE_CALL_DEPTH", "max call depth");
    }
  }

  leave(levels: number): void {
    this.depth -= 1;
    this.levels -= levels;
  }

  /**
   * Accounts anew what is in use, at a turn of a loop, where the running function holds nothing but
   * its variables. What its callers hold in half-computed expressions is below `memoryAtEntry`.
   */
  recount(): void {
    const seen = new Set<object>();
    let live = this.frame?.memoryAtEntry ?? 0;
    let visited = 0;
    const add = (value: NeedleValue) => {
      visited += 1;
      live += measureValue(value, seen);
    };
    for (let frame = this.frame; frame !== undefined; frame = frame.caller) {
      frame.locals.forEach(add);
    }
    for (let scope: ContractScope | undefined = this.scope; scope; scope = scope.outer) {
      for (const value of scope.variables.values()) add(value);
    }
    this.memory = Math.min(this.memory, live);
    this.useFuel(Math.ceil((visited + seen.size) / FUEL_ELEMENTS));
    // With less than an eighth to gain each time, looking again would cost more than it frees.
    if (this.memory > this.memoryLimit * 0.75) throw outOfMemory();
    this.recountAt = this.memory + (this.memoryLimit - this.memory) / 2;
  }
}
