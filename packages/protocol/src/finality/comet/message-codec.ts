/**
 * Protocol buffers of messages that are described as tables of field numbers, by the wire format of
 * https://protobuf.dev/programming-guides/encoding. Fields are written in ascending order of their
 * numbers, zero values are left out, embedded messages are always written: the deterministic form
 * that CometBFT hashes and signs. Reading accepts unknown fields.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Bytes } from "../../encoding/bytes.ts";
import { HanseError } from "../../errors/hanse-error.ts";

/** How one value stands on the wire. */
export interface WireKind<T> {
  readonly wireType: WireType;
  zero(): T;
  /** Whether a value is left out. */
  isZero(value: T): boolean;
  write(writer: BinaryWriter, value: T): void;
  read(reader: BinaryReader): T;
}

type Mode = "single" | "repeated" | "optional";

export interface Field<T, M extends Mode> {
  readonly no: number;
  readonly kind: WireKind<T>;
  readonly mode: M;
}

type FieldValue<F> =
  F extends Field<infer T, infer M>
    ? M extends "repeated"
      ? readonly T[]
      : M extends "optional"
        ? T | undefined
        : T
    : never;

// biome-ignore lint/suspicious/noExplicitAny: a table holds fields of any type
type Fields = Readonly<Record<string, Field<any, Mode>>>;

export type ValueOf<F extends Fields> = { readonly [K in keyof F]: FieldValue<F[K]> };

export interface MessageKind<T> extends WireKind<T> {
  /** Fields left out are zero. */
  encode(value: Partial<T>): Bytes;
  /** @throws HanseError `COMET_MESSAGE` when the bytes are no such message. */
  decode(bytes: Bytes): T;
  create(value: Partial<T>): T;
}

/** The value of a message kind, e.g. `MessageOf<typeof HEADER>`. */
export type MessageOf<K> = K extends MessageKind<infer T> ? T : never;

function scalar<T>(
  wireType: WireType,
  zero: () => T,
  isZero: (value: T) => boolean,
  write: (writer: BinaryWriter, value: T) => void,
  read: (reader: BinaryReader) => T,
): WireKind<T> {
  return { wireType, zero, isZero, write, read };
}

/** Heights, powers and seconds: beyond 2^53 they mean nothing that is ours. */
function toSafe(value: bigint | string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError("an integer beyond 2^53");
  return number;
}

const zeroNumber = () => 0;
const isZeroNumber = (value: number) => value === 0;

export const int64 = scalar<number>(
  WireType.Varint,
  zeroNumber,
  isZeroNumber,
  (writer, value) => void writer.int64(value),
  (reader) => toSafe(reader.int64()),
);
export const uint64 = scalar<number>(
  WireType.Varint,
  zeroNumber,
  isZeroNumber,
  (writer, value) => void writer.uint64(value),
  (reader) => toSafe(reader.uint64()),
);
/** Also enums. */
export const int32 = scalar<number>(
  WireType.Varint,
  zeroNumber,
  isZeroNumber,
  (writer, value) => void writer.int32(value),
  (reader) => reader.int32(),
);
export const uint32 = scalar<number>(
  WireType.Varint,
  zeroNumber,
  isZeroNumber,
  (writer, value) => void writer.uint32(value),
  (reader) => reader.uint32(),
);
export const sfixed64 = scalar<number>(
  WireType.Bit64,
  zeroNumber,
  isZeroNumber,
  (writer, value) => void writer.sfixed64(value),
  (reader) => toSafe(reader.sfixed64()),
);
export const bool = scalar<boolean>(
  WireType.Varint,
  () => false,
  (value) => !value,
  (writer, value) => void writer.bool(value),
  (reader) => reader.bool(),
);
export const bytes = scalar<Bytes>(
  WireType.LengthDelimited,
  () => new Uint8Array(0),
  (value) => value.length === 0,
  (writer, value) => void writer.bytes(value),
  (reader) => reader.bytes(),
);
export const text = scalar<string>(
  WireType.LengthDelimited,
  () => "",
  (value) => value === "",
  (writer, value) => void writer.string(value),
  (reader) => reader.string(true),
);

export function single<T>(no: number, kind: WireKind<T>): Field<T, "single"> {
  return { no, kind, mode: "single" };
}

export function repeated<T>(no: number, kind: WireKind<T>): Field<T, "repeated"> {
  return { no, kind, mode: "repeated" };
}

/** A message that may be missing, or one member of a `oneof`. */
export function optional<T>(no: number, kind: WireKind<T>): Field<T, "optional"> {
  return { no, kind, mode: "optional" };
}

/** A kind of message from its table of fields. */
export function message<F extends Fields>(fields: F): MessageKind<ValueOf<F>> {
  type Value = ValueOf<F>;
  const inOrder = Object.entries(fields).sort(([, a], [, b]) => a.no - b.no);
  const byNumber = new Map(inOrder.map(([name, field]) => [field.no, { name, ...field }]));

  function zero(): Value {
    const value: Record<string, unknown> = {};
    for (const [name, { mode, kind }] of inOrder) {
      value[name] = mode === "repeated" ? [] : mode === "optional" ? undefined : kind.zero();
    }
    return value as Value;
  }

  function write(writer: BinaryWriter, value: Partial<Value>): void {
    for (const [name, { no, kind, mode }] of inOrder) {
      const given = value[name];
      if (mode === "repeated") {
        for (const item of (given ?? []) as unknown[]) {
          kind.write(writer.tag(no, kind.wireType), item);
        }
      } else if (mode === "optional") {
        if (given !== undefined) kind.write(writer.tag(no, kind.wireType), given);
      } else {
        const present = given ?? kind.zero();
        if (!kind.isZero(present)) kind.write(writer.tag(no, kind.wireType), present);
      }
    }
  }

  function read(reader: BinaryReader): Value {
    const value = zero() as Record<string, unknown>;
    while (reader.pos < reader.len) {
      const [no, wireType] = reader.tag();
      const field = byNumber.get(no);
      if (field === undefined) {
        reader.skip(wireType, no);
        continue;
      }
      if (wireType !== field.kind.wireType) throw new RangeError(`field ${no} of a wrong type`);
      const item = field.kind.read(reader);
      if (field.mode === "repeated") (value[field.name] as unknown[]).push(item);
      else value[field.name] = item;
    }
    return value as Value;
  }

  return {
    wireType: WireType.LengthDelimited,
    zero,
    isZero: () => false,
    write(writer, value) {
      write(writer.fork(), value);
      writer.join();
    },
    read: (reader) => read(new BinaryReader(reader.bytes())),
    encode(value) {
      const writer = new BinaryWriter();
      write(writer, value);
      return writer.finish();
    },
    decode(input) {
      try {
        return read(new BinaryReader(input));
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new HanseError("COMET_MESSAGE", "malformed", `protobuf message: ${reason}`, {
          cause,
        });
      }
    },
    create: (value) => ({ ...zero(), ...value }),
  };
}
