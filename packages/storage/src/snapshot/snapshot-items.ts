/**
 * The content of a snapshot as a stream of bytes (spec/sync.md): items one after the other, each
 * with its length in front, cut into chunks wherever a chunk is full.
 */
import {
  asArray,
  asBytes,
  asText,
  type Bytes,
  type CborValue,
  decodeCbor,
  encodeCbor,
  HanseError,
} from "@hanse/protocol";
import type { RowKey } from "@hanse/state";

/** Bytes of one item: a block with its outcomes is the largest. */
export const ITEM_BYTES_MAX = 256 * 1024 * 1024;
/** Bytes of the length in front of an item, big-endian. */
const LENGTH_BYTES = 4;

export type SnapshotItem =
  /** Begins a table: value bytes of its schema's leaf and of its sequence's, where it has one. */
  | {
      readonly t: "table";
      readonly name: string;
      readonly schema: Bytes;
      readonly sequence?: Bytes;
    }
  /** A row of the table begun last: value bytes of its leaf. */
  | { readonly t: "row"; readonly key: RowKey; readonly value: Bytes }
  | { readonly t: "entry"; readonly namespace: string; readonly key: Bytes; readonly value: Bytes }
  | {
      readonly t: "block";
      readonly block: Bytes;
      readonly outcomes: readonly Bytes[];
      /** Engine and bytes of each foreign view. */
      readonly views: readonly { readonly engine: string; readonly bytes: Bytes }[];
    };

const TYPES = { table: 0, row: 1, entry: 2, block: 3 } as const;

function fieldsOf(item: SnapshotItem): CborValue[] {
  switch (item.t) {
    case "table":
      return [item.name, item.schema, item.sequence ?? null];
    case "row":
      return [item.key, item.value];
    case "entry":
      return [item.namespace, item.key, item.value];
    case "block":
      return [
        item.block,
        item.outcomes as Bytes[],
        item.views.map(({ engine, bytes }) => [engine, bytes]),
      ];
  }
}

/** The item with its length in front. */
export function encodeItem(item: SnapshotItem): Bytes {
  const body = encodeCbor([TYPES[item.t], ...fieldsOf(item)]);
  const bytes = new Uint8Array(LENGTH_BYTES + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(body, LENGTH_BYTES);
  return bytes;
}

function unreadable(what: string): never {
  throw new HanseError("STORAGE_SNAPSHOT", "malformed", `the snapshot is not readable: ${what}`);
}

function decodeItem(body: Bytes): SnapshotItem {
  const f = asArray(decodeCbor(body), "item");
  const fields = (count: number) => asArray(f, "item", count + 1);
  switch (f[0]) {
    case TYPES.table: {
      fields(3);
      const sequence = f[3] === null ? undefined : asBytes(f[3], "table.sequence");
      return {
        t: "table",
        name: asText(f[1], "table.name"),
        schema: asBytes(f[2], "table.schema"),
        ...(sequence === undefined ? {} : { sequence }),
      };
    }
    case TYPES.row: {
      fields(2);
      const raw = f[1];
      const key = typeof raw === "number" ? BigInt(raw) : raw;
      if (typeof key !== "bigint" && typeof key !== "string" && !(key instanceof Uint8Array)) {
        return unreadable("row.key");
      }
      return { t: "row", key, value: asBytes(f[2], "row.value") };
    }
    case TYPES.entry:
      fields(3);
      return {
        t: "entry",
        namespace: asText(f[1], "entry.namespace"),
        key: asBytes(f[2], "entry.key"),
        value: asBytes(f[3], "entry.value"),
      };
    case TYPES.block:
      fields(3);
      return {
        t: "block",
        block: asBytes(f[1], "block.block"),
        outcomes: asArray(f[2], "block.outcomes").map((item) => asBytes(item, "block.outcome")),
        views: asArray(f[3], "block.views").map((item) => {
          const [engine, bytes] = asArray(item, "block.view", 2);
          return {
            engine: asText(engine, "block.view.engine"),
            bytes: asBytes(bytes, "block.view.bytes"),
          };
        }),
      };
    default:
      return unreadable("unknown kind of item");
  }
}

/** Puts items together again from chunks given in order. */
export class ItemReader {
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes that an item under way still needs before it is worth looking again. */
  #needed = LENGTH_BYTES;
  #waiting: Bytes[] = [];
  #waitingBytes = 0;

  /** @throws HanseError `STORAGE_SNAPSHOT`, `CBOR_*` or `FIELD_INVALID`. */
  *push(chunk: Bytes): Generator<SnapshotItem> {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    // An item of many chunks is joined once, not with each of them.
    if (this.#rest.length + this.#waitingBytes < this.#needed) return;
    let bytes = Buffer.concat([this.#rest, ...this.#waiting]);
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (;;) {
      if (bytes.length < LENGTH_BYTES) {
        this.#needed = LENGTH_BYTES;
        break;
      }
      const length = bytes.readUInt32BE(0);
      if (length > ITEM_BYTES_MAX) unreadable(`an item of ${length} bytes`);
      this.#needed = LENGTH_BYTES + length;
      if (bytes.length < this.#needed) break;
      // A copy: what an item holds must not keep its chunk in memory.
      yield decodeItem(new Uint8Array(bytes.subarray(LENGTH_BYTES, this.#needed)));
      bytes = bytes.subarray(this.#needed);
    }
    this.#rest = bytes;
  }

  /** @throws HanseError `STORAGE_SNAPSHOT` when the stream ends inside an item. */
  end(): void {
    if (this.#rest.length + this.#waitingBytes > 0) unreadable("it ends inside an item");
  }
}
