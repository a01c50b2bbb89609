/** The snapshots that a node keeps for others: one folder for each, `<height>`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  decodeSnapshotContent,
  decodeSnapshotManifest,
  type SnapshotContent,
  type SnapshotOffer,
  snapshotIdOf,
} from "@hanse/ordering";
import { equalBytes, type Hash } from "@hanse/protocol";
import { CONTENT_FILE, chunkFile, PART_SUFFIX, syncFolder, writeDurably } from "@hanse/storage";

/** Stands in a snapshot's folder from the moment on at which it may be offered. */
const MANIFEST_FILE = "manifest";

export interface SnapshotFolder {
  readonly path: string;
  /** Those that may be fetched, the newest first. */
  readonly offers: readonly SnapshotOffer[];
  /** Written, but the block above is not certified yet. */
  readonly pending: readonly SnapshotContent[];
  /** Takes in what was written there. */
  add(content: SnapshotContent): void;
  /** From now on it is offered; all but the newest `keep` go. */
  complete(content: SnapshotContent, manifest: Uint8Array, keep: number): Promise<void>;
  manifest(id: Hash): Promise<Uint8Array | undefined>;
  chunk(id: Hash, index: number): Promise<Uint8Array | undefined>;
}

interface Kept extends SnapshotOffer {
  readonly content: SnapshotContent;
  isComplete: boolean;
}

function load(folder: string, name: string): Kept | undefined {
  try {
    const content = decodeSnapshotContent(readFileSync(join(folder, name, CONTENT_FILE)));
    if (String(content.height) !== name) return undefined;
    const manifestFile = join(folder, name, MANIFEST_FILE);
    const isComplete = existsSync(manifestFile);
    if (isComplete) decodeSnapshotManifest(readFileSync(manifestFile));
    return { height: content.height, id: snapshotIdOf(content), content, isComplete };
  } catch {
    return undefined;
  }
}

/** Opens the folder; what an earlier process left half written, or cannot be read, goes. */
export function openSnapshotFolder(path: string): SnapshotFolder {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const kept: Kept[] = [];
  for (const name of readdirSync(path)) {
    const found = name.endsWith(PART_SUFFIX) ? undefined : load(path, name);
    if (found === undefined) rmSync(join(path, name), { recursive: true, force: true });
    else kept.push(found);
  }
  const folderOf = ({ height }: SnapshotOffer) => join(path, String(height));
  const find = (id: Hash) => kept.find((item) => item.isComplete && equalBytes(item.id, id));
  return {
    path,
    get offers() {
      return kept
        .filter((item) => item.isComplete)
        .map(({ height, id }) => ({ height, id }))
        .sort((a, b) => b.height - a.height);
    },
    get pending() {
      return kept.filter((item) => !item.isComplete).map((item) => item.content);
    },
    add(content) {
      const at = kept.findIndex((item) => item.height === content.height);
      if (at >= 0) kept.splice(at, 1);
      const { height } = content;
      kept.push({ height, id: snapshotIdOf(content), content, isComplete: false });
    },
    async complete(content, manifest, keep) {
      const item = kept.find(({ height }) => height === content.height);
      if (item === undefined) return;
      const folder = folderOf(item);
      // Under its name at once and whole, so that no start finds half of it.
      await writeDurably(join(folder, MANIFEST_FILE + PART_SUFFIX), manifest);
      await rename(join(folder, MANIFEST_FILE + PART_SUFFIX), join(folder, MANIFEST_FILE));
      await syncFolder(folder);
      item.isComplete = true;
      const old = [...kept].sort((a, b) => b.height - a.height).slice(keep);
      for (const gone of old) {
        kept.splice(kept.indexOf(gone), 1);
        await rm(folderOf(gone), { recursive: true, force: true });
      }
    },
    async manifest(id) {
      const item = find(id);
      return item === undefined ? undefined : await readFile(join(folderOf(item), MANIFEST_FILE));
    },
    async chunk(id, index) {
      const item = find(id);
      if (item === undefined || index >= item.content.chunkHashes.length) return undefined;
      return await readFile(join(folderOf(item), chunkFile(index)));
    },
  };
}
