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
  type Hash,
  sha256,
  toHex,
} from "@hanse/protocol";

/** Heights above the committed one for which bodies are kept. */
export const BODY_HEIGHTS_MAX = 16;

export interface StoredBody {
  readonly height: Height;
  readonly hash: Hash;
  readonly term: number;
  readonly block: Bytes;
}

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
      const body = readBody(disk.read(name));
      const before = body && this.#bodies.get(body.height);
      if (body === undefined || (before !== undefined && before.term > body.term)) {
        disk.remove(name);
        continue;
      }
      if (before !== undefined) disk.remove(nameOf(before.height, before.term));
      this.#bodies.set(body.height, body);
    }
  }

  get(height: Height): StoredBody | undefined {
    return this.#bodies.get(height);
  }

  /** Resolves when it is durable. @throws HanseError `ETCD_BODIES` when too many heights are open. */
  async save(body: StoredBody): Promise<void> {
    const before = this.#bodies.get(body.height);
    if (before?.term === body.term) return this.#disk.sync();
    if (before === undefined && this.#bodies.size >= BODY_HEIGHTS_MAX) {
      const message = `bodies of ${BODY_HEIGHTS_MAX} heights wait already`;
      throw new HanseError("ETCD_BODIES", "limit", message);
    }
    const content = encodeCbor([body.height, body.term, body.block]);
    this.#disk.append(nameOf(body.height, body.term), encodeCbor([content, sha256(content)]));
    this.#bodies.set(body.height, body);
    await this.#disk.sync();
    // Only now: before, a crash could have left neither.
    if (before !== undefined) this.#disk.remove(nameOf(before.height, before.term));
  }

  /** Forgets what is committed. */
  dropTo(height: Height): void {
    for (const body of [...this.#bodies.values()]) {
      if (body.height > height) continue;
      this.#bodies.delete(body.height);
      this.#disk.remove(nameOf(body.height, body.term));
    }
  }
}

function readBody(bytes: Bytes | undefined): StoredBody | undefined {
  try {
    const [content, sum] = asArray(decodeCbor(bytes ?? new Uint8Array(0)), "body", 2);
    const inner = asBytes(content, "body.content");
    if (toHex(sha256(inner)) !== toHex(asBytes(sum, "body.sum"))) return undefined;
    const [height, term, block] = asArray(decodeCbor(inner), "body.content", 3);
    const bytesOfBlock = asBytes(block, "body.block");
    const body = bodyFromBytes(bytesOfBlock);
    return {
      height: asUint(height, "body.height"),
      term: asUint(term, "body.term"),
      hash: body.hash,
      block: bytesOfBlock,
    };
  } catch {
    return undefined;
  }
}
