/** A plain Disk in memory for unit tests; the simulator has the one that loses data. */
import type { Bytes } from "@hanse/protocol";
import type { Disk } from "../engine/interfaces.ts";

export interface MemoryDisk extends Disk {
  readonly files: Map<string, Bytes>;
  syncs: number;
}

export function createMemoryDisk(): MemoryDisk {
  const files = new Map<string, Bytes>();
  return {
    files,
    syncs: 0,
    exists: (name) => files.has(name),
    read: (name) => files.get(name),
    append(name, bytes) {
      const before = files.get(name) ?? new Uint8Array(0);
      const joined = new Uint8Array(before.length + bytes.length);
      joined.set(before);
      joined.set(bytes, before.length);
      files.set(name, joined);
    },
    write(name, bytes) {
      files.set(name, bytes.slice());
    },
    remove(name) {
      files.delete(name);
    },
    list: () => [...files.keys()],
    async sync() {
      this.syncs++;
    },
  };
}
