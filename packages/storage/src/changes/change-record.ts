/**
 * A block's changes as one record of bytes: what the executing thread hands to the database worker,
 * and what stays in the database as the history of the block. Version 1:
 *
 *     1, number of names, names, number of changes, changes
 *
 * A change begins with its kind, its transaction's index and the number of its table or namespace.
 * An update holds the row before it and only the columns that differ after it.
 */
import { HanseError } from "@hanse/protocol";
import type { ColumnValue, KvEntry, Row, RowKey, StateChange, TableSchema } from "@hanse/state";
import { ByteReader, ByteWriter } from "./byte-writer.ts";

const VERSION = 1;

const INSERT = 1;
const UPDATE = 2;
const REMOVE = 3;
const PUT = 4;
const DROP = 5;
const SCHEMA = 6;

const NULL = 0;
const INT = 1;
const TEXT = 2;
const BYTES = 3;
const TRUE = 4;
const FALSE = 5;
const FLOAT = 6;

function writeValue(writer: ByteWriter, value: ColumnValue): void {
  switch (typeof value) {
    case "bigint":
      writer.byte(INT);
      writer.int64(value);
      return;
    case "string":
      writer.byte(TEXT);
      writer.text(value);
      return;
    case "boolean":
      writer.byte(value ? TRUE : FALSE);
      return;
    case "number":
      writer.byte(FLOAT);
      writer.float64(value);
      return;
    default:
      if (value === null) writer.byte(NULL);
      else {
        writer.byte(BYTES);
        writer.bytes(value);
      }
  }
}

function readValue(reader: ByteReader): ColumnValue {
  const tag = reader.byte();
  switch (tag) {
    case NULL:
      return null;
    case INT:
      return reader.int64();
    case TEXT:
      return reader.text();
    case BYTES:
      return reader.bytes();
    case TRUE:
      return true;
    case FALSE:
      return false;
    case FLOAT:
      return reader.float64();
    default:
      throw unreadable(`value tag ${tag}`);
  }
}

function unreadable(what: string): HanseError {
  return new HanseError(
    "STORAGE_CHANGES",
    "corrupt",
    `a record of changes is not readable: ${what}`,
  );
}

function isSameValue(a: ColumnValue | undefined, b: ColumnValue): boolean {
  // Bytes are compared by identity alone: equal ones written anew only cost their space.
  return a === b;
}

function writeRow(writer: ByteWriter, row: Row): void {
  writer.uint(row.height);
  writer.uint(row.values.length);
  for (const value of row.values) writeValue(writer, value);
}

function readRow(reader: ByteReader): Row {
  const height = reader.uint();
  const count = reader.uint();
  const values: ColumnValue[] = [];
  for (let i = 0; i < count; i++) values.push(readValue(reader));
  return { values, height };
}

/** The bytes of a record; its memory is its own. */
export function encodeChanges(changes: readonly StateChange[]): Buffer {
  const names = new Map<string, number>();
  for (const change of changes) {
    const name = change.kind === "kv" ? change.namespace : change.table;
    if (!names.has(name)) names.set(name, names.size);
  }
  const writer = new ByteWriter(64 + changes.length * 192);
  writer.byte(VERSION);
  writer.uint(names.size);
  for (const name of names.keys()) writer.text(name);
  writer.uint(changes.length);
  for (const change of changes) {
    if (change.kind === "row") writeRowChange(writer, names.get(change.table)!, change);
    else if (change.kind === "kv") {
      const { key, before, after, index } = change;
      writer.byte(after === undefined ? DROP : PUT);
      writer.uint(index);
      writer.uint(names.get(change.namespace)!);
      writer.bytes(key);
      writer.byte(before === undefined ? 0 : 1);
      if (before !== undefined) writeEntry(writer, before);
      if (after !== undefined) writeEntry(writer, after);
    } else {
      writer.byte(SCHEMA);
      writer.uint(change.index);
      writer.uint(names.get(change.table)!);
      writer.text(change.before === undefined ? "" : JSON.stringify(change.before));
      writer.text(JSON.stringify(change.after));
    }
  }
  return writer.take();
}

function writeRowChange(
  writer: ByteWriter,
  table: number,
  change: Extract<StateChange, { kind: "row" }>,
): void {
  const { key, before, after, index } = change;
  writer.byte(before === undefined ? INSERT : after === undefined ? REMOVE : UPDATE);
  writer.uint(index);
  writer.uint(table);
  writeValue(writer, key);
  if (before === undefined) {
    writeRow(writer, after!);
    return;
  }
  writeRow(writer, before);
  if (after === undefined) return;
  writer.uint(after.height);
  writer.uint(after.values.length);
  let count = 0;
  for (let i = 0; i < after.values.length; i++) {
    if (!isSameValue(before.values[i], after.values[i]!)) count++;
  }
  writer.uint(count);
  for (let i = 0; i < after.values.length; i++) {
    const value = after.values[i]!;
    if (isSameValue(before.values[i], value)) continue;
    writer.uint(i);
    writeValue(writer, value);
  }
}

function writeEntry(writer: ByteWriter, entry: KvEntry): void {
  writer.uint(entry.version.height);
  writer.uint(entry.version.index);
  writer.bytes(entry.value);
}

function readEntry(reader: ByteReader, key: Uint8Array): KvEntry {
  const version = { height: reader.uint(), index: reader.uint() };
  return { key, value: reader.bytes(), version };
}

/** @throws HanseError `STORAGE_CHANGES` on anything that `encodeChanges` does not write. */
export function decodeChanges(bytes: Uint8Array): StateChange[] {
  try {
    return decode(new ByteReader(bytes));
  } catch (error) {
    if (error instanceof HanseError) throw error;
    throw unreadable(error instanceof Error ? error.message : String(error));
  }
}

function decode(reader: ByteReader): StateChange[] {
  const version = reader.byte();
  if (version !== VERSION) throw unreadable(`version ${version}`);
  const names: string[] = [];
  for (let left = reader.uint(); left > 0; left--) names.push(reader.text());
  const changes: StateChange[] = [];
  for (let left = reader.uint(); left > 0; left--) {
    const kind = reader.byte();
    const index = reader.uint();
    const name = names[reader.uint()];
    if (name === undefined) throw unreadable("a name is missing");
    if (kind === INSERT || kind === UPDATE || kind === REMOVE) {
      changes.push(readRowChange(reader, kind, name, index));
    } else if (kind === PUT || kind === DROP) {
      const key = reader.bytes();
      const before = reader.byte() === 1 ? readEntry(reader, key) : undefined;
      const after = kind === PUT ? readEntry(reader, key) : undefined;
      changes.push({ kind: "kv", namespace: name, key, before, after, index });
    } else if (kind === SCHEMA) {
      const old = reader.text();
      const before = old === "" ? undefined : (JSON.parse(old) as TableSchema);
      const after = JSON.parse(reader.text()) as TableSchema;
      changes.push({ kind: "schema", table: name, before, after, index });
    } else throw unreadable(`kind ${kind}`);
  }
  return changes;
}

function readRowChange(
  reader: ByteReader,
  kind: number,
  table: string,
  index: number,
): StateChange {
  const key = readValue(reader) as RowKey;
  const first = readRow(reader);
  if (kind === INSERT) return { kind: "row", table, key, before: undefined, after: first, index };
  if (kind === REMOVE) return { kind: "row", table, key, before: first, after: undefined, index };
  const height = reader.uint();
  const width = reader.uint();
  const values = first.values.slice();
  while (values.length < width) values.push(null);
  for (let left = reader.uint(); left > 0; left--) {
    const column = reader.uint();
    values[column] = readValue(reader);
  }
  return { kind: "row", table, key, before: first, after: { values, height }, index };
}
