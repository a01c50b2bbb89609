/**
 * Bodies that this member vouches to have, on its disk until their height is committed. In one
 * height only the block of the newest term is kept: who offers in a term has seen, after the term
 * began, that the height is vacant, and no older term can fill it any more.
 */

import { bodyFromBytes, type Disk, type Height } from "@hanse/ordering";
import {
  asArray,
  asBytes,
  asUint,
  type Bytes,
  decodeCbor,
  encodeCbor,
  HanseError,
  sha256,
  toHex,
} from "@hanse/protocol";

/** Heights above the committed one for which bodies are kept. */
export const BODY_HEIGHTS_MAX = 16;

/** A decoded block with its hash and bytes; kept decoded, so that it is hashed once. */
export type Body = ReturnType<typeof bodyFromBytes>;

export interface StoredBody {
  readonly term: number;
  readonly body: Body;
}

const heightOf = ({ body }: StoredBody): Height => body.block.header.height;

const PREFIX = "body-";
const nameOf = (height: Height, term: number) =>
  `${PREFIX}${String(height).padStart(16, "0")}-${String(term).padStart(16, "0")}`;

export class BodyStore {
  readonly #disk: Disk;
  readonly #bodies = new Map<Height, StoredBody>();

  /**
   * Reads what is there; a torn file is what a crash left before its member vouched for it, and is
   * removed. Call `sync` before vouching for anything read.
   */
  constructor(disk: Disk) {
    this.#disk = disk;
    for (const name of disk.list()) {
      if (!name.startsWith(PREFIX)) continue;
      const stored = readBody(disk.read(name));
      const before = stored && this.#bodies.get(heightOf(stored));
      if (stored === undefined || (before !== undefined && before.term > stored.term)) {
        disk.remove(name);
        continue;
      }
      const height = heightOf(stored);
      if (before !== undefined) disk.remove(nameOf(height, before.term));
      this.#bodies.set(height, stored);
    }
  }

  get(height: Height): StoredBody | undefined {
    return this.#bodies.get(height);
  }

  /** Resolves when it is durable. @throws HanseError `ETCD_BODIES` when too many heights are open. */
  async save(stored: StoredBody): Promise<void> {
    const height = heightOf(stored);
    const before = this.#bodies.get(height);
    if (before?.term === stored.term) return this.#disk.sync();
    if (before === undefined && this.#bodies.size >= BODY_HEIGHTS_MAX) {
      const message = `bodies of ${BODY_HEIGHTS_MAX} heights wait already`;
      throw new HanseError("ETCD_BODIES", "limit", message);
    }
    const content = encodeCbor([height, stored.term, stored.body.bytes]);
    this.#disk.append(nameOf(height, stored.term), encodeCbor([content, sha256(content)]));
    this.#bodies.set(height, stored);
    await this.#disk.sync();
    // Only now: before, a crash could have left neither.
    if (before !== undefined) this.#disk.remove(nameOf(height, before.term));
  }

  /** Forgets what is committed. */
  dropTo(height: Height): void {
    for (const [at, { term }] of [...this.#bodies]) {
      if (at > height) continue;
      this.#bodies.delete(at);
      this.#disk.remove(nameOf(at, term));
    }
  }
}

function readBody(bytes: Bytes | undefined): StoredBody | undefined {
  try {
    const [content, sum] = asArray(decodeCbor(bytes ?? new Uint8Array(0)), "body", 2);
    const inner = asBytes(content, "body.content");
    if (toHex(sha256(inner)) !== toHex(asBytes(sum, "body.sum"))) return undefined;
    const [height, term, block] = asArray(decodeCbor(inner), "body.content", 3);
    const stored = {
      term: asUint(term, "body.term"),
      body: bodyFromBytes(asBytes(block, "body.block")),
    };
    return heightOf(stored) === asUint(height, "body.height") ? stored : undefined;
  } catch {
    return undefined;
  }
}
