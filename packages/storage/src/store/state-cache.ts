/**
 * Rows and entries in memory, present and absent ones, bounded by number and bytes. Those that the
 * database does not durably have yet are pinned: the cache is where they are visible. Eviction goes
 * around a ring and spares what was used since the last round (the CLOCK algorithm, Corbató 1968).
 */

interface Cell<Value> {
  readonly owner: Map<bigint | string, Cell<Value>>;
  readonly id: bigint | string;
  value: Value | undefined;
  bytes: number;
  used: boolean;
  /** Stays until this height is durable: that of its last change here, or of a block that needs it. */
  height: number;
}

/** What a cell costs besides its values: map entry, objects, ring slot. */
const CELL_BYTES = 200;

export class StateCache<Value> {
  readonly #maps = new Map<string, Map<bigint | string, Cell<Value>>>();
  readonly #ring: Cell<Value>[] = [];
  readonly #countMax: number;
  readonly #bytesMax: number;
  readonly #sizeOf: (value: Value) => number;
  #hand = 0;
  #bytes = 0;
  /** Heights up to here may be evicted. */
  #evictable = Number.MAX_SAFE_INTEGER;

  constructor(bounds: {
    readonly countMax: number;
    readonly bytesMax: number;
    readonly sizeOf: (value: Value) => number;
  }) {
    this.#countMax = bounds.countMax;
    this.#bytesMax = bounds.bytesMax;
    this.#sizeOf = bounds.sizeOf;
  }

  get count(): number {
    return this.#ring.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Cells of this space (a table or namespace): keep it to save a look-up. */
  #space(name: string): Map<bigint | string, Cell<Value>> {
    let map = this.#maps.get(name);
    if (map === undefined) {
      map = new Map();
      this.#maps.set(name, map);
    }
    return map;
  }

  /** Undefined = not known here; `{ value: undefined }` = known to be absent. */
  get(space: string, id: bigint | string): { readonly value: Value | undefined } | undefined {
    const cell = this.#maps.get(space)?.get(id);
    if (cell !== undefined) cell.used = true;
    return cell;
  }

  has(space: string, id: bigint | string): boolean {
    return this.#maps.get(space)?.has(id) === true;
  }

  /** Pins what is here until this height is durable. @returns whether it is here. */
  pin(space: string, id: bigint | string, height: number): boolean {
    const cell = this.#maps.get(space)?.get(id);
    if (cell === undefined) return false;
    if (cell.height < height) cell.height = height;
    return true;
  }

  /**
   * What the database said; never replaces what is here.
   * @param height pinned until this height is durable, as rows are that a block will need.
   */
  fill(space: string, id: bigint | string, value: Value | undefined, height = -1): void {
    const map = this.#space(space);
    if (!map.has(id)) this.#add(map, id, value, height);
  }

  /** What a block at this height made of it. */
  set(space: string, id: bigint | string, value: Value | undefined, height: number): void {
    const map = this.#space(space);
    const cell = map.get(id);
    if (cell === undefined) {
      this.#add(map, id, value, height);
      return;
    }
    const bytes = this.#cost(value);
    this.#bytes += bytes - cell.bytes;
    cell.bytes = bytes;
    cell.value = value;
    cell.height = height;
    cell.used = true;
  }

  /** From now on only what changed at or below this height may be dropped. */
  setEvictable(height: number): void {
    this.#evictable = height;
    // Two rounds spare nothing but what is pinned: the first takes the marks of use away.
    for (let steps = 2 * this.#ring.length; steps > 0 && this.#isOver(); steps--) this.#step();
  }

  #cost(value: Value | undefined): number {
    return CELL_BYTES + (value === undefined ? 0 : this.#sizeOf(value));
  }

  #add(
    owner: Map<bigint | string, Cell<Value>>,
    id: bigint | string,
    value: Value | undefined,
    height: number,
  ): void {
    const cell: Cell<Value> = { owner, id, value, bytes: this.#cost(value), used: true, height };
    // Marked as used: it may stand right before the hand, and was asked for just now.
    owner.set(id, cell);
    this.#bytes += cell.bytes;
    this.#ring.push(cell);
    // At most a few steps for each cell added; pinned cells may exceed the bounds for a while.
    for (let steps = 0; steps < 16 && this.#isOver(); steps++) this.#step();
  }

  #isOver(): boolean {
    return this.#ring.length > this.#countMax || this.#bytes > this.#bytesMax;
  }

  #step(): void {
    if (this.#hand >= this.#ring.length) this.#hand = 0;
    const cell = this.#ring[this.#hand]!;
    if (cell.height > this.#evictable) this.#hand++;
    else if (cell.used) {
      cell.used = false;
      this.#hand++;
    } else {
      cell.owner.delete(cell.id);
      this.#bytes -= cell.bytes;
      // The last cell takes the place: no gap, no shifting.
      const last = this.#ring.pop()!;
      if (last !== cell) this.#ring[this.#hand] = last;
    }
  }
}
