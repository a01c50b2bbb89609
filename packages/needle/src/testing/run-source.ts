/** For tests of this package: runs sources against a host that keeps its contracts in memory. */
import { compileNeedle } from "../compiler/compile.ts";
import { type RunOptions, type RunResult, runContract } from "../contracts/run-contract.ts";
import type { NeedleContract, NeedleFunction, NeedleProfile } from "../contracts/unit.ts";
import { diagnosticToText } from "../diagnostics/diagnostic.ts";
import type { HostFunctions, NeedleHost, SystemValues } from "../host/host.ts";
import type { NeedleValue } from "../values/value.ts";

export const SYSTEM: SystemValues = {
  keyId: 77n,
  accountId: "0000-0000-0000-0000-0077",
  ecosystemId: 1n,
  contractId: 5001n,
  timeMs: 1_700_000_000_123n,
  block: 12n,
  blockKeyId: 3n,
  nodePosition: 0n,
  transactionHash: new Uint8Array(32).fill(7),
  previousBlockHash: new Uint8Array(32).fill(9),
  languages: "en",
};

/** Contracts and functions installed one program after the other. */
export class Installed implements NeedleHost {
  readonly contracts = new Map<string, NeedleContract>();
  readonly freeFunctions = new Map<string, NeedleFunction>();
  readonly functions: Partial<HostFunctions>;
  readonly profile: NeedleProfile;

  constructor(functions: Partial<HostFunctions> = {}, profile: NeedleProfile = "strict") {
    this.functions = functions;
    this.profile = profile;
  }

  /** Texts of the errors, empty when the program is installed. */
  install(source: string, ecosystem = 1n, externMode = false): readonly string[] {
    const { unit, diagnostics } = compileNeedle(source, {
      ecosystem,
      externMode,
      profile: this.profile,
      findContract: (name) => this.contracts.get(name),
      findFunction: (name) => this.freeFunctions.get(name),
    });
    if (unit === undefined) {
      return diagnostics.filter((one) => one.severity === "error").map(diagnosticToText);
    }
    for (const contract of unit.contracts) this.contracts.set(contract.fullName, contract);
    for (const fn of unit.functions) this.freeFunctions.set(fn.name, fn);
    return [];
  }

  findContract(fullName: string): NeedleContract | undefined {
    return this.contracts.get(fullName);
  }

  findFunction(name: string): NeedleFunction | undefined {
    return this.freeFunctions.get(name);
  }

  run(
    fullName: string,
    values: Readonly<Record<string, NeedleValue>> = {},
    options: Partial<RunOptions> = {},
  ): RunResult {
    const contract = this.contracts.get(fullName);
    if (contract === undefined) throw new Error(`no contract ${fullName}`);
    return runContract(contract, new Map(Object.entries(values)), {
      host: this,
      system: SYSTEM,
      ...options,
    });
  }
}

/** Runs a source whose contract `@1Main` is at its end; compile errors are thrown. */
export function runSource(source: string, options: Partial<RunOptions> = {}): RunResult {
  const installed = new Installed();
  const errors = installed.install(source);
  if (errors.length > 0) throw new Error(errors.join("\n"));
  return installed.run("@1Main", {}, options);
}

/** Value of an expression, its text form; an error gives `! message`. */
export function evaluated(expression: string, before = ""): string {
  const source = `contract Main { action {\n${before}\n$result = Str(${expression})\n} }`;
  const { error, value } = runSource(source);
  return error === undefined ? String(value) : `! ${error.message}`;
}

/** First error of compiling a source, without its place; undefined when it compiles. */
export function compileError(source: string): string | undefined {
  return new Installed().install(source)[0]?.replace(/ \[Ln:\d+ Col:\d+\]$/, "");
}
