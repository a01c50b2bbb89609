import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  compareBytes,
  compareText,
  concatBytes,
  equalBytes,
  fromHex,
  toHex,
  utf8,
} from "./bytes.ts";
import { CBOR_DEPTH_MAX, type CborValue, decodeCbor, encodeCbor } from "./cbor.ts";

const integer = fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n });
const text = fc.string({ unit: "grapheme", maxLength: 60 });
const { value: anyValue } = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    integer,
    fc.maxSafeInteger(),
    fc.constantFrom(null, true, false, 0, -1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32),
    text,
    fc.uint8Array({ maxLength: 70 }),
    fc.array(tie("value"), { maxLength: 5 }),
    fc
      .array(fc.tuple(text, tie("value")), { maxLength: 5 })
      .map((entries): CborValue => new Map(entries)),
  ),
}));

/** Values as they come back: safe integers as numbers. */
function normal(value: CborValue): CborValue {
  if (typeof value === "bigint") {
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
      ? Number(value)
      : value;
  }
  if (typeof value === "number") return value + 0;
  if (Array.isArray(value)) return value.map(normal);
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, CborValue>)];
    entries.sort((a, b) => compareBytes(encodeCbor(a[0]), encodeCbor(b[0])));
    return new Map(entries.map(([key, item]) => [key, normal(item)]));
  }
  return value;
}

type Flaw = "none" | "longer" | "indefinite" | "swapped" | "repeated";

/** An encoder that can do one thing wrong, at the n-th place where it is possible. */
function encodeSloppily(value: CborValue, flaw: Flaw, place: number) {
  let left = place;
  let done = false;
  const now = (kind: Flaw) => {
    if (flaw !== kind || done || left-- > 0) return false;
    done = true;
    return true;
  };
  const head = (major: number, argument: bigint) => {
    const widths = [
      [24n, 0, 0],
      [0x100n, 24, 1],
      [0x1_0000n, 25, 2],
      [0x1_0000_0000n, 26, 4],
      [0x1_0000_0000_0000_0000n, 27, 8],
    ] as const;
    let width = widths.findIndex(([limit]) => argument < limit);
    if (width < 4 && now("longer")) width++;
    const [, info, count] = widths[width]!;
    if (count === 0) return Uint8Array.of((major << 5) | Number(argument));
    return concatBytes(
      Uint8Array.of((major << 5) | info),
      fromHex(argument.toString(16).padStart(2 * count, "0")),
    );
  };
  const container = (major: number, count: number, items: Uint8Array[]) =>
    now("indefinite")
      ? concatBytes(Uint8Array.of((major << 5) | 31), ...items, Uint8Array.of(0xff))
      : concatBytes(head(major, BigInt(count)), ...items);
  const encode = (item: CborValue): Uint8Array => {
    if (item === null) return Uint8Array.of(0xf6);
    if (typeof item === "boolean") return Uint8Array.of(item ? 0xf5 : 0xf4);
    if (typeof item === "number" || typeof item === "bigint") {
      const integer = BigInt(item);
      return integer >= 0n ? head(0, integer) : head(1, -1n - integer);
    }
    if (typeof item === "string" || item instanceof Uint8Array) {
      const bytes = typeof item === "string" ? utf8(item) : item;
      const major = typeof item === "string" ? 3 : 2;
      if (now("indefinite")) {
        const chunk = concatBytes(head(major, BigInt(bytes.length)), bytes);
        return concatBytes(Uint8Array.of((major << 5) | 31), chunk, Uint8Array.of(0xff));
      }
      return concatBytes(head(major, BigInt(bytes.length)), bytes);
    }
    if (Array.isArray(item)) return container(4, item.length, item.map(encode));
    const entries = [...(item as ReadonlyMap<string, CborValue>)]
      .map(([key, inner]) => [encodeCbor(key), inner] as const)
      .sort((a, b) => compareBytes(a[0], b[0]));
    if (entries.length > 1 && now("swapped")) entries.push(entries.shift()!);
    if (entries.length > 0 && now("repeated")) entries.push(entries.at(-1)!);
    return container(
      5,
      entries.length,
      entries.map(([key, inner]) => concatBytes(key, encode(inner))),
    );
  };
  return { bytes: encode(value), done };
}

test("the examples of RFC 8949, appendix A, that are in the profile", () => {
  const examples: readonly [CborValue, string][] = [
    [0, "00"],
    [23, "17"],
    [24, "1818"],
    [100, "1864"],
    [1000, "1903e8"],
    [1_000_000, "1a000f4240"],
    [1_000_000_000_000, "1b000000e8d4a51000"],
    [18446744073709551615n, "1bffffffffffffffff"],
    [-18446744073709551616n, "3bffffffffffffffff"],
    [-1, "20"],
    [-100, "3863"],
    [-1000, "3903e7"],
    [false, "f4"],
    [true, "f5"],
    [null, "f6"],
    [fromHex("01020304"), "4401020304"],
    ["", "60"],
    ["IETF", "6449455446"],
    ['"\\', "62225c"],
    ["\u00fc", "62c3bc"],
    ["\u6c34", "63e6b0b4"],
    ["\ud800\udd51", "64f0908591"],
    [[], "80"],
    [[1, [2, 3], [4, 5]], "8301820203820405"],
    [
      new Map<string, CborValue>([
        ["b", [2, 3]],
        ["a", 1],
      ]),
      "a26161016162820203",
    ],
  ];
  for (const [value, hex] of examples) {
    assert.equal(toHex(encodeCbor(value)), hex);
    assert.deepEqual(decodeCbor(fromHex(hex)), normal(value));
  }
});

test("whatever is encoded comes back, and only as these bytes", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const bytes = encodeCbor(value);
      assert.deepEqual(encodeSloppily(value, "none", 0).bytes, bytes);
      const decoded = decodeCbor(bytes);
      assert.deepEqual(decoded, normal(value));
      assert.deepEqual(encodeCbor(decoded), bytes);
    }),
    { numRuns: 400 },
  );
});

test("every other encoding of a value is refused", () => {
  const counts: Record<string, number> = {};
  fc.assert(
    fc.property(
      anyValue,
      fc.constantFrom<Flaw>("longer", "indefinite", "swapped", "repeated"),
      fc.nat(2),
      (value, flaw, place) => {
        const { bytes, done } = encodeSloppily(value, flaw, place);
        if (!done) return;
        counts[flaw] = (counts[flaw] ?? 0) + 1;
        assert.throws(() => decodeCbor(bytes), { name: "HanseError", code: /^CBOR_/ });
      },
    ),
    { numRuns: 4000 },
  );
  for (const flaw of ["longer", "indefinite", "swapped", "repeated"]) {
    assert.ok(counts[flaw]! > 20, `${flaw} tried ${counts[flaw]} times`);
  }
});

test("bytes that decode are exactly what their value encodes to", () => {
  let decoded = 0;
  const check = (bytes: Uint8Array) => {
    let value: CborValue;
    try {
      value = decodeCbor(bytes);
    } catch (thrown) {
      assert.equal((thrown as Error).name, "HanseError");
      return;
    }
    decoded++;
    assert.ok(equalBytes(encodeCbor(value), bytes));
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), check), { numRuns: 2000 });
  fc.assert(
    fc.property(anyValue, fc.nat(), fc.nat(255), (value, at, byte) => {
      const bytes = encodeCbor(value);
      bytes[at % bytes.length] = byte;
      check(bytes);
    }),
    { numRuns: 2000 },
  );
  assert.ok(decoded > 500, `${decoded} decoded`);
});

test("refusals by code", () => {
  const refused: readonly [string, string][] = [
    ["", "CBOR_TRUNCATED"],
    ["18", "CBOR_TRUNCATED"],
    ["1817", "CBOR_NOT_SHORTEST"],
    ["1900ff", "CBOR_NOT_SHORTEST"],
    ["1a0000ffff", "CBOR_NOT_SHORTEST"],
    ["1b00000000ffffffff", "CBOR_NOT_SHORTEST"],
    ["5800", "CBOR_NOT_SHORTEST"],
    ["9a00000000", "CBOR_NOT_SHORTEST"],
    ["4201", "CBOR_TRUNCATED"],
    ["5bffffffffffffffff", "CBOR_TRUNCATED"],
    ["9affffffff", "CBOR_TRUNCATED"],
    ["0000", "CBOR_TRAILING"],
    ["5f4100ff", "CBOR_UNSUPPORTED"],
    ["9fff", "CBOR_UNSUPPORTED"],
    ["bfff", "CBOR_UNSUPPORTED"],
    ["1c", "CBOR_UNSUPPORTED"],
    ["c000", "CBOR_UNSUPPORTED"],
    ["f7", "CBOR_UNSUPPORTED"],
    ["f820", "CBOR_UNSUPPORTED"],
    ["f93c00", "CBOR_UNSUPPORTED"],
    ["fb3ff0000000000000", "CBOR_UNSUPPORTED"],
    ["a10000", "CBOR_MAP_KEY"],
    ["a1410000", "CBOR_MAP_KEY"],
    ["a2616200616100", "CBOR_MAP_ORDER"],
    ["a2616100616100", "CBOR_MAP_ORDER"],
    ["61ff", "ENCODING_UTF8"],
    ["62c080", "ENCODING_UTF8"],
    ["63eda080", "ENCODING_UTF8"],
    [`${"81".repeat(CBOR_DEPTH_MAX + 1)}00`, "CBOR_TOO_DEEP"],
  ];
  for (const [hex, code] of refused) {
    assert.throws(() => decodeCbor(fromHex(hex)), { code }, hex);
  }
  assert.ok(decodeCbor(fromHex(`${"81".repeat(CBOR_DEPTH_MAX)}00`)));
});

test("what has no encoding is refused by the encoder", () => {
  const refused: readonly [unknown, string][] = [
    [1.5, "CBOR_NOT_INTEGER"],
    [Number.NaN, "CBOR_NOT_INTEGER"],
    [2 ** 53, "CBOR_NOT_INTEGER"],
    [2n ** 64n, "CBOR_INTEGER_RANGE"],
    [-(2n ** 64n) - 1n, "CBOR_INTEGER_RANGE"],
    ["\ud800", "CBOR_TEXT"],
    [`${"a".repeat(100)}\udc00`, "CBOR_TEXT"],
    [undefined, "CBOR_TYPE"],
    [{}, "CBOR_TYPE"],
    [[undefined], "CBOR_TYPE"],
  ];
  for (const [value, code] of refused) {
    assert.throws(() => encodeCbor(value as CborValue), { code });
  }
  let deep: CborValue = 0;
  for (let i = 0; i <= CBOR_DEPTH_MAX; i++) deep = [deep];
  assert.throws(() => encodeCbor(deep), { code: "CBOR_TOO_DEEP" });
});

test("a failed encoding leaves nothing behind in the next one", () => {
  assert.throws(() => encodeCbor(["left over", 0.5]));
  assert.equal(toHex(encodeCbor([1])), "8101");
});

test("hex, order of bytes and order of texts", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      assert.deepEqual(fromHex(toHex(a)), a);
      assert.deepEqual(fromHex(toHex(a).toUpperCase()), a);
      const byHex = toHex(a) < toHex(b) ? -1 : toHex(a) > toHex(b) ? 1 : 0;
      assert.equal(compareBytes(a, b), byHex);
      assert.equal(equalBytes(a, b), byHex === 0);
    }),
  );
  const wide = fc.string({ unit: "binary", maxLength: 8 }).filter((s) => s.isWellFormed());
  fc.assert(
    fc.property(wide, wide, (a, b) => {
      assert.equal(compareText(a, b), compareBytes(utf8(a), utf8(b)));
    }),
    { numRuns: 500 },
  );
  assert.throws(() => fromHex("0"), { code: "ENCODING_HEX" });
  assert.throws(() => fromHex("0g"), { code: "ENCODING_HEX" });
});
