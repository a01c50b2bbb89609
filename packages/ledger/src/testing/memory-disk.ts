/** A disk in memory whose crash loses, or tears, what was not synced. For tests. */
import type { Disk } from "@hanse/ordering";
import { concatBytes } from "@hanse/protocol";

export interface MemoryDisk extends Disk {
  /**
   * What a power cut leaves: everything synced, of later appends the first `keepBytes` of each file,
   * and later removals where `removed`. Later calls on this object fail.
   */
  crash(keepBytes?: number, removed?: boolean): MemoryDisk;
  /** Makes every later sync fail. */
  breakDown(): void;
  readonly syncs: number;
}

export function createMemoryDisk(durable: ReadonlyMap<string, Uint8Array> = new Map()): MemoryDisk {
  const files = new Map(durable);
  let synced = new Map(durable);
  let syncs = 0;
  let broken = false;
  let gone = false;
  const alive = () => {
    if (gone) throw new Error("the machine is off");
  };
  return {
    exists: (name) => files.has(name),
    read: (name) => files.get(name),
    append(name, bytes) {
      alive();
      files.set(name, concatBytes(files.get(name) ?? new Uint8Array(0), bytes));
    },
    write(name, bytes) {
      alive();
      files.set(name, bytes.slice());
    },
    remove(name) {
      alive();
      files.delete(name);
    },
    list: () => [...files.keys()],
    async sync() {
      alive();
      const snapshot = new Map(files);
      await Promise.resolve();
      alive();
      if (broken) throw new Error("input/output error");
      synced = snapshot;
      syncs++;
    },
    crash(keepBytes = 0, removed = false) {
      gone = true;
      const left = new Map(synced);
      for (const [name, bytes] of files) {
        const safe = synced.get(name)?.length ?? 0;
        if (bytes.length > safe && safe + keepBytes > 0) {
          left.set(name, bytes.slice(0, Math.min(bytes.length, safe + keepBytes)));
        }
      }
      if (removed) for (const name of left.keys()) if (!files.has(name)) left.delete(name);
      return createMemoryDisk(left);
    },
    breakDown() {
      broken = true;
    },
    get syncs() {
      return syncs;
    },
  };
}
