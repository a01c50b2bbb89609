/**
 * Run-time values of Needle. Integers are bigints that stay inside signed 64 bits, floats are
 * numbers, texts are byte texts (byte-text.ts), nil is null. Containers are own classes, so that
 * no text of a user ever becomes the key of a plain object.
 */
import type { Money } from "./money.ts";

export type NeedleValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | Money
  | JsonNumber
  | NeedleArray
  | NeedleMap;

/** Types a declaration may name. `address` is an int, `file` is a map. */
export const TYPE_NAMES = [
  "bool",
  "bytes",
  "int",
  "address",
  "float",
  "money",
  "string",
  "array",
  "map",
  "file",
] as const;
export type TypeName = (typeof TYPE_NAMES)[number];

/** A number as it stood in a JSON text, kept as text until `Int`, `Float` or `Str` reads it. */
export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * A list with the sharing rules of the language: assigning a variable shares the list, writing an
 * element within its length is seen through every name, growing gives the written name a list of
 * its own. The storage is handed over on growth and copied only when somebody writes into the part
 * that two lists still have in common, so that filling a list by index costs no copies.
 */
export class NeedleArray {
  #items: NeedleValue[];
  #length: number;
  /** The storage may belong to another list too: copy before writing below the length. */
  #shared: boolean;

  private constructor(items: NeedleValue[], length: number, shared: boolean) {
    this.#items = items;
    this.#length = length;
    this.#shared = shared;
  }

  /** Takes the given list over; the caller must not keep writing to it. */
  static of(items: NeedleValue[]): NeedleArray {
    return new NeedleArray(items, items.length, false);
  }

  get length(): number {
    return this.#length;
  }

  /** Elements its storage holds: more than its length when a list grew out of it. */
  get capacity(): number {
    return this.#items.length;
  }

  /** The element, or nil outside of the list. */
  get(index: number): NeedleValue {
    return index >= 0 && index < this.#length ? this.#items[index]! : null;
  }

  /** Writes an existing element; returns how many elements had to be copied for it. */
  set(index: number, value: NeedleValue): number {
    let copied = 0;
    if (this.#shared) {
      this.#items = this.#items.slice(0, this.#length);
      this.#shared = false;
      copied = this.#length;
    }
    this.#items[index] = value;
    return copied;
  }

  /**
   * A list with the element at `index` (at or beyond the length) set and nil between; this list
   * stays as it is.
   */
  grown(
    index: number,
    value: NeedleValue,
  ): { readonly array: NeedleArray; readonly copied: number } {
    let items = this.#items;
    let copied = 0;
    if (items.length !== this.#length) {
      items = items.slice(0, this.#length);
      copied = this.#length;
    } else {
      this.#shared = true;
    }
    while (items.length < index) items.push(null);
    items.push(value);
    return { array: new NeedleArray(items, items.length, copied === 0), copied };
  }

  /** A copy as a plain list. */
  toItems(): NeedleValue[] {
    return this.#items.slice(0, this.#length);
  }

  *[Symbol.iterator](): IterableIterator<NeedleValue> {
    for (let i = 0; i < this.#length; i++) yield this.#items[i]!;
  }
}

/** Text keys in the order of their first insertion; setting a key again keeps its place. */
export class NeedleMap {
  readonly entries: Map<string, NeedleValue>;

  constructor(entries: Map<string, NeedleValue> = new Map()) {
    this.entries = entries;
  }

  static of(entries: Iterable<readonly [string, NeedleValue]>): NeedleMap {
    return new NeedleMap(new Map(entries));
  }

  get size(): number {
    return this.entries.size;
  }

  /** The value, or nil when there is none. */
  get(key: string): NeedleValue {
    return this.entries.get(key) ?? null;
  }

  set(key: string, value: NeedleValue): void {
    this.entries.set(key, value);
  }
}
