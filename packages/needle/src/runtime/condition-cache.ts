import type { NeedleCondition } from "../contracts/unit.ts";

/**
 * Compiled conditions by ecosystem and text. Keep one per engine: conditions of tables are few and
 * used all the time. Beyond its limit the least recently used one is dropped.
 */
export class ConditionCache {
  readonly #limit: number;
  readonly #entries = new Map<string, NeedleCondition>();

  constructor(limit = 1_000) {
    this.#limit = limit;
  }

  get(ecosystem: bigint, text: string): NeedleCondition | undefined {
    const key = `${ecosystem} ${text}`;
    const found = this.#entries.get(key);
    if (found !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, found);
    }
    return found;
  }

  add(condition: NeedleCondition): void {
    if (this.#entries.size >= this.#limit) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    this.#entries.set(`${condition.ecosystem} ${condition.text}`, condition);
  }
}
