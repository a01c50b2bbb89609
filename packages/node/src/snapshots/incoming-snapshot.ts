/**
 * The one snapshot that a node fetches, in a folder of its own. Chunks are checked when they come
 * and again when they are found at a start; the snapshot counts once all are durable.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type ChunkPlace,
  decodeSnapshotManifest,
  isChunk,
  type SnapshotManifest,
  snapshotIdOf,
} from "@hanse/ordering";
import { equalBytes, fromHex, type Hash, toHex } from "@hanse/protocol";
import { chunkFile, syncFolder, writeDurably } from "@hanse/storage";

const MANIFEST_FILE = "manifest";
const COMPLETE_FILE = "complete";

function loadManifest(folder: string): SnapshotManifest | undefined {
  try {
    return decodeSnapshotManifest(readFileSync(join(folder, MANIFEST_FILE)));
  } catch {
    return undefined;
  }
}

/** Opens the place of a manifest's chunks; those of another snapshot go. */
export async function openIncoming(
  folder: string,
  manifest: SnapshotManifest,
  encoded: Uint8Array,
): Promise<ChunkPlace> {
  const { content } = manifest;
  const before = loadManifest(folder);
  if (before === undefined || !equalBytes(snapshotIdOf(before.content), snapshotIdOf(content))) {
    clearIncoming(folder);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  await writeDurably(join(folder, MANIFEST_FILE), encoded);
  await syncFolder(folder);
  const there = new Set<number>();
  for (const index of content.chunkHashes.keys()) {
    const file = join(folder, chunkFile(index));
    if (existsSync(file) && isChunk(content, index, await readFile(file))) there.add(index);
  }
  return {
    has: (index) => there.has(index),
    async save(index, bytes) {
      await writeDurably(join(folder, chunkFile(index)), bytes);
      there.add(index);
    },
  };
}

/** All chunks are there: the next start loads them. */
export async function completeIncoming(folder: string): Promise<void> {
  await syncFolder(folder);
  await writeDurably(join(folder, COMPLETE_FILE), new Uint8Array(0));
  await syncFolder(folder);
}

export interface IncomingSnapshot {
  readonly manifest: SnapshotManifest;
  chunk(index: number): Promise<Uint8Array>;
}

/** The snapshot that is complete and waits to be loaded. */
export function findIncoming(folder: string): IncomingSnapshot | undefined {
  if (!existsSync(join(folder, COMPLETE_FILE))) return undefined;
  const manifest = loadManifest(folder);
  if (manifest === undefined) return undefined;
  return { manifest, chunk: (index) => readFile(join(folder, chunkFile(index))) };
}

/** Snapshots refused in all, at most; then the oldest refusal is forgotten. */
const REFUSED_MAX = 64;
const refusedFile = (folder: string) => `${folder}.refused`;

/** Ids of snapshots whose content turned out not to be the certified one. */
export function readRefused(folder: string): readonly Hash[] {
  const file = refusedFile(folder);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.filter((line) => /^[0-9a-f]{64}$/.test(line)).map(fromHex);
}

/** It is not fetched again. */
export function refuseIncoming(folder: string, id: Hash): void {
  const lines = [...readRefused(folder), id].slice(-REFUSED_MAX).map(toHex);
  writeFileSync(refusedFile(folder), `${lines.join("\n")}\n`, { mode: 0o600 });
}

export function clearIncoming(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
