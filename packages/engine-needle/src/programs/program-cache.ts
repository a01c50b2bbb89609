/**
 * Compiled contracts. What a source compiles to depends on the source and its ecosystem alone:
 * other contracts are looked up when a call runs, so that nothing here goes stale.
 */
import type { CatalogContract } from "@hanse/ecosystem";
import {
  type ContractSignature,
  checkNeedle,
  compileNeedle,
  type Diagnostic,
  diagnosticToText,
  type NeedleContract,
} from "@hanse/needle";
import { HanseError, sha256, toHex, utf8 } from "@hanse/protocol";

/** Compiled programs kept; the least recently used go first. */
export const PROGRAMS_MAX = 2_000;

export class ProgramCache {
  readonly #byEntry = new WeakMap<CatalogContract, NeedleContract>();
  readonly #programs = new Map<string, NeedleContract>();
  readonly #limit: number;

  constructor(limit = PROGRAMS_MAX) {
    this.#limit = limit;
  }

  /** @throws HanseError `NEEDLE_COMPILE` when the stored source does not compile. */
  compile(entry: CatalogContract): NeedleContract {
    const known = this.#byEntry.get(entry);
    if (known !== undefined) return known;
    const key = `${entry.ecosystem}/${entry.name}/${toHex(sha256(utf8(entry.source)))}`;
    let contract = this.#programs.get(key);
    if (contract === undefined) {
      contract = compileContract(entry.source, entry.ecosystem, entry.name, entry.full);
    } else this.#programs.delete(key);
    this.#programs.set(key, contract);
    if (this.#programs.size > this.#limit) {
      this.#programs.delete(this.#programs.keys().next().value!);
    }
    this.#byEntry.set(entry, contract);
    return contract;
  }
}

/**
 * What installing asks beyond compiling: every function and contract that a program calls exists.
 * `known` has the contracts that will be there.
 * @throws HanseError `NEEDLE_COMPILE` with file, line and column.
 */
export function checkContract(
  source: string,
  ecosystem: number,
  file: string,
  known: (fullName: string) => ContractSignature | undefined,
): void {
  const environment = { ecosystem: BigInt(ecosystem), findContract: known };
  const error = firstError(checkNeedle(source, environment, file));
  if (error !== undefined) throw compileError(error, file);
}

function compileError(error: Diagnostic, file: string): HanseError {
  const { line, column } = error.range.start;
  return new HanseError("NEEDLE_COMPILE", "malformed", diagnosticToText(error), {
    details: { file, line, column, reason: error.code },
  });
}

function firstError(diagnostics: readonly Diagnostic[]): Diagnostic | undefined {
  return diagnostics.find((item) => item.severity === "error");
}

/**
 * Compiles a program that holds one contract of this name; `file` names it in messages.
 * @throws HanseError `NEEDLE_COMPILE` with file, line and column.
 */
export function compileContract(
  source: string,
  ecosystem: number,
  name: string,
  file: string,
): NeedleContract {
  const { unit, diagnostics } = compileNeedle(
    source,
    { ecosystem: BigInt(ecosystem), externMode: true },
    file,
  );
  if (unit === undefined) throw compileError(firstError(diagnostics)!, file);
  const contract = unit.contracts.find((item) => item.name === name);
  if (contract === undefined || unit.contracts.length !== 1) {
    throw new HanseError(
      "NEEDLE_COMPILE",
      "malformed",
      `${file}: expected exactly one contract, named ${name}`,
      { details: { file } },
    );
  }
  return contract;
}
