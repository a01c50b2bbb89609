/** Files that only their owner may read. */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";

/** Replaces the file whole: after a crash it has the old content or the new. */
export function writeSecretFile(file: string, text: string): void {
  const fresh = `${file}.new`;
  const handle = openSync(fresh, "w", 0o600);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(fresh, file);
}
