/** A disk in memory that loses, at a crash, what was not synced: a random prefix survives, torn. */
import type { Disk } from "@hanse/ordering";
import type { DiskFailure } from "./faults.ts";
import type { Timeline } from "./node-time.ts";
import type { Random } from "./random.ts";

interface Operation {
  readonly kind: "append" | "write" | "remove";
  readonly bytes: Uint8Array;
}

interface File {
  durable: Uint8Array | undefined;
  current: Uint8Array | undefined;
  pending: Operation[];
}

export class SimulatedDisk {
  readonly #files = new Map<string, File>();
  /** How it fails, while it does. */
  failure: DiskFailure | undefined;
  /** Whether anybody ran into the failure. */
  failed = false;

  /** A handle for one life of a process; `alive` false makes every call do nothing. */
  open(
    time: Timeline,
    random: Random,
    life: { readonly alive: boolean; operation(): boolean },
    latencyMsMax: number,
  ): Disk {
    const files = this.#files;
    const file = (name: string): File => {
      let found = files.get(name);
      if (found === undefined) {
        found = { durable: undefined, current: undefined, pending: [] };
        files.set(name, found);
      }
      return found;
    };
    const change = (name: string, operation: Operation) => {
      if (!life.operation()) return;
      if (this.failure === "full" || this.failure === "error") {
        this.failed = true;
        throw new Error(this.failure === "full" ? "no space left on device" : "input/output error");
      }
      const target = file(name);
      target.pending.push(operation);
      target.current = apply(target.current, operation);
    };
    return {
      exists: (name) => files.get(name)?.current !== undefined,
      read: (name) => files.get(name)?.current,
      list: () => [...files].filter(([, f]) => f.current !== undefined).map(([name]) => name),
      append: (name, bytes) => change(name, { kind: "append", bytes }),
      write: (name, bytes) => change(name, { kind: "write", bytes }),
      remove: (name) => change(name, { kind: "remove", bytes: new Uint8Array(0) }),
      sync: () => {
        const counts = new Map<File, number>();
        for (const f of files.values()) counts.set(f, f.pending.length);
        return new Promise((resolve, reject) => {
          if (!life.operation()) return;
          time.after(random.between(0, latencyMsMax), () => {
            if (!life.operation()) return;
            if (this.failure !== undefined) {
              this.failed = true;
              // The pages are dropped: what was not durable before never will be.
              for (const f of files.values()) f.pending = [];
              reject(new Error("the sync failed"));
              return;
            }
            for (const [f, count] of counts) {
              for (const operation of f.pending.splice(0, count)) {
                f.durable = apply(f.durable, operation);
              }
            }
            resolve();
          });
        });
      },
    };
  }

  crash(random: Random): void {
    for (const f of this.#files.values()) {
      const kept = random.between(0, f.pending.length);
      for (const operation of f.pending.slice(0, kept)) f.durable = apply(f.durable, operation);
      const torn = f.pending[kept];
      if (torn !== undefined && random.chance(0.5)) f.durable = tear(f.durable, torn, random);
      f.pending = [];
      f.current = f.durable;
    }
  }

  /** Works again; what was in memory alone is gone with the process. */
  mend(): void {
    this.failure = undefined;
    this.failed = false;
  }

  wipe(): void {
    this.#files.clear();
  }

  /** Flips one bit of one file whose name begins with the prefix. False = there is none. */
  flipBit(prefix: string, random: Random): boolean {
    const names = [...this.#files].filter(
      ([name, f]) => name.startsWith(prefix) && (f.durable?.length ?? 0) > 0,
    );
    if (names.length === 0) return false;
    const [, f] = random.pick(names);
    const bytes = f.durable!.slice();
    bytes[random.between(0, bytes.length - 1)]! ^= 1 << random.between(0, 7);
    f.durable = bytes;
    f.current = bytes;
    return true;
  }

  get bytes(): number {
    let sum = 0;
    for (const f of this.#files.values()) sum += f.current?.length ?? 0;
    return sum;
  }
}

function apply(before: Uint8Array | undefined, o: Operation): Uint8Array | undefined {
  if (o.kind === "remove") return undefined;
  if (o.kind === "write") return o.bytes;
  const joined = new Uint8Array((before?.length ?? 0) + o.bytes.length);
  if (before !== undefined) joined.set(before);
  joined.set(o.bytes, before?.length ?? 0);
  return joined;
}

function tear(
  before: Uint8Array | undefined,
  o: Operation,
  random: Random,
): Uint8Array | undefined {
  if (o.kind === "remove" || o.bytes.length === 0) return before;
  const cut = random.between(0, o.bytes.length);
  if (o.kind === "append") {
    // Sometimes the length is there already and the content is not.
    const bytes = random.chance(0.3)
      ? o.bytes.map((byte, i) => (i < cut ? byte : 0))
      : o.bytes.subarray(0, cut);
    return apply(before, { kind: "append", bytes });
  }
  const mixed = new Uint8Array(Math.max(cut, before?.length ?? 0));
  if (before !== undefined) mixed.set(before);
  mixed.set(o.bytes.subarray(0, cut));
  return mixed;
}
