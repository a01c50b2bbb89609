/**
 * Rows that a call will surely read, so that a node loads them for a whole block at once. Hints
 * come from the contract's setting `prefetch`, or are learned from its first calls: a row whose key
 * equalled a field's value every time. A wrong hint costs a little time and nothing else.
 */
import { resolveTableName } from "@hanse/ecosystem";
import type { NeedleContract } from "@hanse/needle";
import type { CborValue } from "@hanse/protocol";
import type { RowRef } from "@hanse/state";

/** Calls of a contract that are watched before its hints are fixed. */
export const LEARNING_CALLS = 8;
/** Hints of one contract. */
export const HINTS_MAX = 16;
/** Contracts that hints are kept for. */
export const HINTED_CONTRACTS_MAX = 10_000;

interface Hint {
  /** As state knows it. */
  readonly table: string;
  readonly field: string;
}

interface Learned {
  readonly contract: NeedleContract;
  hints: readonly Hint[];
  /** Undefined while nothing was watched yet. */
  candidates: Map<string, Hint> | undefined;
  callsLeft: number;
}

function declaredHints(contract: NeedleContract): readonly Hint[] | undefined {
  const setting = contract.settings.get("prefetch");
  if (typeof setting !== "string") return undefined;
  const hints: Hint[] = [];
  for (const item of setting.split(",")) {
    const [table, field] = item.split(":").map((part) => part.trim());
    if (!table || !field || hints.length >= HINTS_MAX) continue;
    hints.push({ table: resolveTableName(table, Number(contract.ecosystem)).full, field });
  }
  return hints;
}

export class PrefetchHints {
  readonly #contracts = new Map<string, Learned>();

  /** Where to note row reads of this call (`table`, `key` in turn); undefined: not watched. */
  watch(contract: NeedleContract): (string | bigint)[] | undefined {
    const known = this.#contracts.get(contract.fullName);
    if (known?.contract === contract) return known.callsLeft > 0 ? [] : undefined;
    const declared = declaredHints(contract);
    if (this.#contracts.size >= HINTED_CONTRACTS_MAX) this.#contracts.clear();
    this.#contracts.set(contract.fullName, {
      contract,
      hints: declared ?? [],
      candidates: undefined,
      callsLeft: declared === undefined ? LEARNING_CALLS : 0,
    });
    return declared === undefined ? [] : undefined;
  }

  learn(
    fullName: string,
    params: ReadonlyMap<string, CborValue>,
    reads: readonly (string | bigint)[],
  ): void {
    const known = this.#contracts.get(fullName);
    if (known === undefined || known.callsLeft === 0) return;
    const seen = new Map<string, Hint>();
    for (let i = 0; i < reads.length && seen.size < HINTS_MAX; i += 2) {
      const table = reads[i] as string;
      for (const [field, value] of params) {
        if (keyOf(value) === reads[i + 1]) seen.set(`${table}:${field}`, { table, field });
      }
    }
    if (known.candidates === undefined) known.candidates = seen;
    else {
      for (const key of known.candidates.keys()) {
        if (!seen.has(key)) known.candidates.delete(key);
      }
    }
    known.callsLeft -= 1;
    known.hints = [...known.candidates.values()];
  }

  rows(fullName: string, params: ReadonlyMap<string, CborValue>): readonly RowRef[] {
    const hints = this.#contracts.get(fullName)?.hints;
    if (hints === undefined) return [];
    const rows: RowRef[] = [];
    for (const { table, field } of hints) {
      const key = keyOf(params.get(field));
      if (key !== undefined) rows.push({ table, key });
    }
    return rows;
  }
}

function keyOf(value: CborValue | undefined): bigint | undefined {
  if (typeof value === "bigint") return value;
  return typeof value === "number" ? BigInt(value) : undefined;
}
