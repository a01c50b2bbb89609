/**
 * The Disk of ordering log, signing state and transaction journal over a real folder. Appends and
 * writes wait in memory until `sync`; syncs that come while one is under way share the next one.
 * After the first failure nothing is tried again: what a failed fdatasync left on the disk is
 * unknown (Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
 */
import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writevSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Disk } from "@hanse/ordering";
import { type Bytes, HanseError } from "@hanse/protocol";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/;
/** Buffers in one vectored write (IOV_MAX is 1024 on Linux and macOS). */
const VECTOR_MAX = 512;

const fdatasyncAsync = promisify(fdatasync);
const fsyncAsync = promisify(fsync);

export interface NodeDisk extends Disk {
  /** Closes all files after the round under way; what was not synced is lost. */
  close(): Promise<void>;
  /** Durable rounds so far, and what they took in all, milliseconds. */
  readonly rounds: { readonly count: number; readonly ms: number };
}

class OpenFile {
  readonly name: string;
  readonly fd: number;
  /** Bytes in the file. */
  size: number;
  appends: Bytes[] = [];
  /** Whole new content, before `appends`. */
  content: Bytes | undefined;

  constructor(folder: string, name: string) {
    this.name = name;
    // Without O_TRUNC: a replaced file must not be empty before the new bytes are there.
    this.fd = openSync(join(folder, name), constants.O_RDWR | constants.O_CREAT, 0o600);
    this.size = fstatSync(this.fd).size;
  }

  get isDirty(): boolean {
    return this.content !== undefined || this.appends.length > 0;
  }

  /** Hands everything waiting to the operating system. */
  write(): void {
    if (this.content !== undefined) {
      const { content } = this;
      this.content = undefined;
      this.#put([content], 0);
      if (content.length < this.size) ftruncateSync(this.fd, content.length);
      this.size = content.length;
    }
    const { appends } = this;
    this.appends = [];
    for (let i = 0; i < appends.length; i += VECTOR_MAX) {
      this.size = this.#put(appends.slice(i, i + VECTOR_MAX), this.size);
    }
  }

  /** Returns the place behind what was written. A short write goes on where it ended. */
  #put(parts: Bytes[], at: number): number {
    let end = at;
    let rest = parts;
    while (rest.length > 0) {
      let written = writevSync(this.fd, rest, end);
      end += written;
      let whole = 0;
      while (whole < rest.length && written >= rest[whole]!.length)
        written -= rest[whole++]!.length;
      rest = rest.slice(whole);
      if (written > 0) rest[0] = rest[0]!.subarray(written);
    }
    return end;
  }
}

class FolderDisk implements NodeDisk {
  readonly rounds = { count: 0, ms: 0 };
  readonly #folder: string;
  readonly #onFailure: (error: HanseError) => void;
  readonly #folderFd: number;
  readonly #names: Set<string>;
  readonly #files = new Map<string, OpenFile>();
  /** Removed while open; closed when no round uses them. */
  #removed: OpenFile[] = [];
  #folderChanged = false;
  #failed: HanseError | undefined;
  #waiting: { done: () => void; fail: (error: unknown) => void }[] = [];
  #running: Promise<void> | undefined;

  constructor(folder: string, onFailure: (error: HanseError) => void) {
    this.#folder = folder;
    this.#onFailure = onFailure;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      this.#names = new Set(readdirSync(folder).filter((name) => NAME.test(name)));
      this.#folderFd = openSync(folder, "r");
      this.#syncFound();
    } catch (cause) {
      throw this.#failure("cannot be opened", cause);
    }
  }

  /**
   * What a killed process wrote without a sync is in the page cache only, yet it will be read and
   * acted on: it has to survive a power cut from now on.
   */
  #syncFound(): void {
    for (const name of this.#names) {
      const fd = openSync(join(this.#folder, name), constants.O_RDWR);
      try {
        fdatasyncSync(fd);
      } catch (error) {
        // A device stands in for the file, as in tests: there is nothing to make durable.
        if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
      } finally {
        closeSync(fd);
      }
    }
    fsyncSync(this.#folderFd);
  }

  #failure(what: string, cause: unknown): HanseError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new HanseError(
      "NODE_DISK",
      "corrupt",
      `${this.#folder}: ${what} (${reason}); check the disk, then start the node again`,
      { cause },
    );
  }

  #open(name: string): OpenFile {
    const open = this.#files.get(name);
    if (open !== undefined) return open;
    if (!NAME.test(name)) throw this.#failure("file name", name);
    let file: OpenFile;
    try {
      file = new OpenFile(this.#folder, name);
    } catch (cause) {
      throw this.#failure(`${name} cannot be opened`, cause);
    }
    this.#files.set(name, file);
    if (!this.#names.has(name)) {
      this.#names.add(name);
      this.#folderChanged = true;
    }
    return file;
  }

  exists = (name: string): boolean => this.#names.has(name);

  read(name: string): Bytes | undefined {
    if (!this.#names.has(name)) return undefined;
    const file = this.#files.get(name);
    try {
      const stored = file?.content ?? new Uint8Array(readFileSync(join(this.#folder, name)));
      if (file === undefined || file.appends.length === 0) return stored;
      return new Uint8Array(Buffer.concat([stored, ...file.appends]));
    } catch (cause) {
      throw this.#failure(`${name} cannot be read`, cause);
    }
  }

  append(name: string, bytes: Bytes): void {
    if (bytes.length > 0) this.#open(name).appends.push(bytes);
    else this.#open(name);
  }

  write(name: string, bytes: Bytes): void {
    const file = this.#open(name);
    file.appends = [];
    file.content = bytes;
  }

  remove(name: string): void {
    if (!this.#names.delete(name)) return;
    const file = this.#files.get(name);
    if (file !== undefined) {
      this.#files.delete(name);
      this.#removed.push(file);
      if (this.#running === undefined) this.#closeRemoved();
    }
    try {
      unlinkSync(join(this.#folder, name));
    } catch (cause) {
      throw this.#failure(`${name} cannot be removed`, cause);
    }
    this.#folderChanged = true;
  }

  list(): readonly string[] {
    return [...this.#names].sort();
  }

  sync(): Promise<void> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    return new Promise((done, fail) => {
      this.#waiting.push({ done, fail });
      this.#running ??= this.#run();
    });
  }

  async close(): Promise<void> {
    await this.#running;
    this.#failed ??= new HanseError("NODE_DISK_CLOSED", "unavailable", "the node has stopped");
    this.#closeRemoved();
    for (const file of this.#files.values()) closeSync(file.fd);
    this.#files.clear();
    closeSync(this.#folderFd);
  }

  #closeRemoved(): void {
    for (const file of this.#removed) closeSync(file.fd);
    this.#removed = [];
  }

  async #run(): Promise<void> {
    // Lets what the same turn still writes join this round.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        if (this.#failed !== undefined) throw this.#failed;
        await this.#round();
        for (const call of group) call.done();
      } catch (cause) {
        if (this.#failed === undefined) {
          this.#failed = this.#failure("cannot be written", cause);
          this.#onFailure(this.#failed);
        }
        for (const call of group) call.fail(this.#failed);
      }
    }
    this.#running = undefined;
    this.#closeRemoved();
  }

  async #round(): Promise<void> {
    const started = performance.now();
    const replaced: OpenFile[] = [];
    const syncs: Promise<void>[] = [];
    for (const file of this.#files.values()) {
      if (!file.isDirty) continue;
      if (file.content !== undefined) {
        replaced.push(file);
        continue;
      }
      file.write();
      syncs.push(fdatasyncAsync(file.fd));
    }
    if (replaced.length > 0) syncs.push(this.#replaceAll(replaced));
    if (this.#folderChanged) {
      this.#folderChanged = false;
      syncs.push(fsyncAsync(this.#folderFd));
    }
    // All end before anything is judged: no descriptor may be closed under a running sync.
    const results = await Promise.allSettled(syncs);
    this.rounds.count++;
    this.rounds.ms += performance.now() - started;
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /** One after the other, so that of two slots written in one round at most one can be torn. */
  async #replaceAll(files: readonly OpenFile[]): Promise<void> {
    for (const file of files) {
      if (this.#removed.includes(file)) continue;
      file.write();
      await fdatasyncAsync(file.fd);
    }
  }
}

/**
 * @param onFailure told once, with the error that this and every later `sync` rejects with.
 * @throws HanseError `NODE_DISK` when the folder cannot be made or read.
 */
export function openDisk(folder: string, onFailure: (error: HanseError) => void): NodeDisk {
  return new FolderDisk(folder, onFailure);
}
