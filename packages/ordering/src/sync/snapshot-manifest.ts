/**
 * What a snapshot of the state says of itself (spec/sync.md): its content is the same on every
 * node, so that its chunks may come from several; what proves it final may differ.
 */
import {
  asArray,
  asBytes,
  asUint,
  type Bytes,
  type CborValue,
  concatBytes,
  decodeCbor,
  decodeFinalityProof,
  decodeHeader,
  encodeCbor,
  encodeFinalityProof,
  encodeHeader,
  equalBytes,
  HASH_BYTES,
  HanseError,
  type Hash,
  sha256,
  validatorSetFromCbor,
  validatorSetToCbor,
} from "@hanse/protocol";
import type { Height } from "../engine/interfaces.ts";
import {
  CHAIN_SETS_MAX,
  type ChainTrust,
  type ChainVerdict,
  type HeaderChain,
  verifyHeaderChain,
} from "./header-chain.ts";

export const SNAPSHOT_VERSION = 1;
/** Every chunk has this many bytes but the last, which may have fewer. */
export const CHUNK_BYTES = 1024 * 1024;
/** Chunks of one snapshot: 128 GiB. */
export const CHUNKS_MAX = 131_072;
/** Bytes of an encoded manifest: the hashes of the chunks and the chain of headers. */
export const MANIFEST_BYTES_MAX = 8 * 1024 * 1024;

/** What every honest node says alike of its state at one height. */
export interface SnapshotContent {
  readonly ledgerId: Hash;
  /** The state is the one after this block. */
  readonly height: Height;
  readonly blockHash: Hash;
  readonly stateRoot: Hash;
  readonly resultsRoot: Hash;
  /** Lowest block that the content holds; those up to `height` are there without a gap. */
  readonly lowestBlock: Height;
  /** Leaves of the state tree. */
  readonly leaves: number;
  /** Bytes of all chunks together. */
  readonly bytes: number;
  readonly chunkHashes: readonly Hash[];
}

export interface SnapshotManifest {
  readonly content: SnapshotContent;
  /** Leads from the genesis to the header above the snapshot, which states its roots. */
  readonly chain: HeaderChain;
  /** Finality proof of the snapshot's own block, as `encodeFinalityProof` makes it. */
  readonly proof: Bytes;
}

export function encodeSnapshotContent(content: SnapshotContent): Bytes {
  return encodeCbor([
    SNAPSHOT_VERSION,
    content.ledgerId,
    content.height,
    content.blockHash,
    content.stateRoot,
    content.resultsRoot,
    content.lowestBlock,
    content.leaves,
    content.bytes,
    concatBytes(...content.chunkHashes),
  ]);
}

/** Names a content: nodes that offer the same id hold the same chunks. */
export function snapshotIdOf(content: SnapshotContent): Hash {
  return sha256(encodeSnapshotContent(content));
}

function invalid(message: string): never {
  throw new HanseError("SYNC_MANIFEST", "malformed", message);
}

/** @throws HanseError `SYNC_MANIFEST`, `CBOR_*` or `FIELD_INVALID` naming the field. */
export function decodeSnapshotContent(bytes: Bytes): SnapshotContent {
  const f = asArray(decodeCbor(bytes), "content", 10);
  if (asUint(f[0], "content.version") !== SNAPSHOT_VERSION) {
    invalid(`content.version: this program reads version ${SNAPSHOT_VERSION}`);
  }
  const hash = (i: number, field: string) => asBytes(f[i], `content.${field}`, HASH_BYTES);
  const hashes = asBytes(f[9], "content.chunkHashes");
  const count = hashes.length / HASH_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > CHUNKS_MAX) {
    invalid(`content.chunkHashes: expected 1 to ${CHUNKS_MAX} hashes`);
  }
  const content: SnapshotContent = {
    ledgerId: hash(1, "ledgerId"),
    height: asUint(f[2], "content.height"),
    blockHash: hash(3, "blockHash"),
    stateRoot: hash(4, "stateRoot"),
    resultsRoot: hash(5, "resultsRoot"),
    lowestBlock: asUint(f[6], "content.lowestBlock"),
    leaves: asUint(f[7], "content.leaves"),
    bytes: asUint(f[8], "content.bytes"),
    chunkHashes: Array.from({ length: count }, (_, i) =>
      hashes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES),
    ),
  };
  const { height, lowestBlock } = content;
  if (lowestBlock < 1 || lowestBlock > height) invalid("content.lowestBlock: 1 to the height");
  if (Math.ceil(content.bytes / CHUNK_BYTES) !== count) {
    invalid("content.bytes: not the size of that many chunks");
  }
  return content;
}

/** Bytes of chunk `index`. */
export function chunkSize({ bytes }: SnapshotContent, index: number): number {
  return Math.min(CHUNK_BYTES, bytes - index * CHUNK_BYTES);
}

/** Whether the bytes are chunk `index` of the content. */
export function isChunk(content: SnapshotContent, index: number, bytes: Bytes): boolean {
  const hash = content.chunkHashes[index];
  return (
    hash !== undefined &&
    bytes.length === chunkSize(content, index) &&
    equalBytes(sha256(bytes), hash)
  );
}

export function encodeSnapshotManifest({ content, chain, proof }: SnapshotManifest): Bytes {
  return encodeCbor([
    encodeSnapshotContent(content),
    chain.sets.map(validatorSetToCbor),
    chain.headers.map((item): CborValue => [encodeHeader(item.header), encodeFinalityProof(item)]),
    proof,
  ]);
}

/** Proves nothing yet. @throws HanseError `SYNC_MANIFEST` and the codes of what is inside. */
export function decodeSnapshotManifest(bytes: Bytes): SnapshotManifest {
  if (bytes.length > MANIFEST_BYTES_MAX) {
    const message = `a manifest has at most ${MANIFEST_BYTES_MAX} bytes`;
    throw new HanseError("SYNC_MANIFEST", "tooLarge", message);
  }
  const [content, sets, headers, proof] = asArray(decodeCbor(bytes), "manifest", 4);
  const list = (value: CborValue | undefined, field: string) => {
    const items = asArray(value, field);
    if (items.length > CHAIN_SETS_MAX) invalid(`${field}: at most ${CHAIN_SETS_MAX}`);
    return items;
  };
  return {
    content: decodeSnapshotContent(asBytes(content, "manifest.content")),
    chain: {
      sets: list(sets, "manifest.sets").map((set, i) =>
        validatorSetFromCbor(set, `manifest.sets[${i}]`),
      ),
      headers: list(headers, "manifest.headers").map((item, i) => {
        const at = `manifest.headers[${i}]`;
        const [header, itemProof] = asArray(item, at, 2);
        return decodeFinalityProof(
          asBytes(itemProof, `${at}.proof`),
          decodeHeader(asBytes(header, `${at}.header`)),
        );
      }),
    },
    proof: asBytes(proof, "manifest.proof"),
  };
}

export type ManifestVerdict = { readonly ok: true } | Extract<ChainVerdict, { ok: false }>;

/**
 * Whether the ledger certified the state that the content claims to be: the header above, final by
 * the chain from the trusted set, states its roots and its block.
 * @throws HanseError `KEYS_NOT_READY` alone.
 */
export function verifySnapshotManifest(
  { content, chain }: SnapshotManifest,
  trust: ChainTrust,
): ManifestVerdict {
  const refuse = (reason: string): ManifestVerdict => ({ ok: false, reason });
  if (!equalBytes(content.ledgerId, trust.ledgerId)) return refuse("it is of another ledger");
  const verdict = verifyHeaderChain(chain, trust);
  if (!verdict.ok) return verdict;
  const { header } = verdict.top;
  if (header.height !== content.height + 1) {
    return refuse(`its chain leads to height ${header.height}, expected ${content.height + 1}`);
  }
  if (!equalBytes(header.parentHash, content.blockHash)) return refuse("it names another block");
  if (!equalBytes(header.prevStateRoot, content.stateRoot)) {
    return refuse("the header above states another state root");
  }
  if (!equalBytes(header.prevResultsRoot, content.resultsRoot)) {
    return refuse("the header above states another results root");
  }
  return { ok: true };
}
