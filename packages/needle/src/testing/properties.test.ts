/** Properties: no text makes the language throw; layouts are stable; values keep their laws. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeJson, encodeJson } from "../builtins/json.ts";
import { compileNeedle } from "../compiler/compile.ts";
import { formatNeedle } from "../formatting/format.ts";
import { parseNeedle, parseNeedleExpression } from "../parser/parse.ts";
import { matchesPattern } from "../patterns/match.ts";
import { parsePattern } from "../patterns/parse-pattern.ts";
import {
  byteLength,
  bytesToText,
  compareTexts,
  concatTexts,
  textToBytes,
} from "../values/byte-text.ts";
import { Money } from "../values/money.ts";
import { floatToFixed, floatToText, parseFloat64 } from "../values/number-text.ts";
import { randomExpression, randomProgram, randomTokens } from "./random-programs.ts";
import { Installed } from "./run-source.ts";

const runs = (numRuns: number) => ({ numRuns });
const METER = { useFuel: () => undefined, useMemory: () => undefined };

test("any text gives a tree and diagnostics", () => {
  const texts = fc.oneof(
    fc.string({ unit: "binary", maxLength: 80 }),
    fc.string({ maxLength: 80 }),
    randomTokens,
    fc.uint8Array({ maxLength: 80 }).map((bytes) => new TextDecoder("latin1").decode(bytes)),
  );
  fc.assert(
    fc.property(texts, (source) => {
      const { program, diagnostics } = parseNeedle(source);
      assert.equal(program.kind, "program");
      for (const { range } of diagnostics) assert.ok(range.start.offset <= range.end.offset);
      compileNeedle(source, { ecosystem: 1n, externMode: true });
      parseNeedleExpression(source);
    }),
    runs(600),
  );
});

test("programs end with a result or an error, within their fuel, twice the same", () => {
  let compiled = 0;
  fc.assert(
    fc.property(randomProgram, (source) => {
      const installed = new Installed();
      if (installed.install(source, 1n, true).length > 0) return;
      compiled += 1;
      const options = { fuel: 20_000, memoryBytes: 1_000_000 };
      const first = installed.run("@1Main", { F: 5n }, options);
      const second = installed.run("@1Main", { F: 5n }, options);
      assert.ok(first.fuelUsed <= 20_000n);
      assert.equal(first.fuelUsed, second.fuelUsed);
      assert.equal(first.text, second.text);
      assert.deepEqual(first.error?.steps, second.error?.steps);
      if (first.error !== undefined) assert.ok(first.error.line > 0, first.error.message);
    }),
    runs(300),
  );
  assert.ok(compiled > 100, `only ${compiled} programs compiled`);
});

test("a program means the same after formatting, and formatting again changes nothing", () => {
  fc.assert(
    fc.property(fc.oneof(randomProgram, randomTokens, randomExpression), (source) => {
      const once = formatNeedle(source).text;
      if (once === undefined) return;
      assert.equal(formatNeedle(once).text, once);
      const bare = (text: string) =>
        JSON.stringify(parseNeedle(text).program.items, (key, value) =>
          key === "range" || key === "operatorRange"
            ? undefined
            : typeof value === "bigint"
              ? `${value}n`
              : value,
        );
      assert.equal(bare(once), bare(source));
    }),
    runs(600),
  );
});

test("texts are bytes: joining, cutting, comparing", () => {
  const bytes = fc.uint8Array({ maxLength: 12 });
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      const left = bytesToText(a);
      const right = bytesToText(b);
      assert.deepEqual(Buffer.from(textToBytes(left)), Buffer.from(a));
      assert.equal(byteLength(left), a.length);
      const joined = concatTexts(left, right);
      assert.equal(joined, bytesToText(Buffer.concat([a, b])));
      assert.equal(Math.sign(compareTexts(left, right)), Buffer.compare(a, b));
    }),
    runs(2_000),
  );
});

test("JSON there and back", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), (text) => {
      const value = decodeJson(text, METER);
      const again = encodeJson(value, METER);
      assert.equal(encodeJson(decodeJson(again, METER), METER), again);
      const sorted = (item: unknown): unknown =>
        item !== null && typeof item === "object" && !Array.isArray(item)
          ? new Map(
              Object.entries(item)
                .sort(([a], [b]) => (a < b ? -1 : 1))
                .map(([key, one]) => [key, sorted(one)]),
            )
          : Array.isArray(item)
            ? item.map(sorted)
            : item;
      // Numbers keep their text in arrays; as JavaScript values they are the same.
      assert.deepEqual(sorted(JSON.parse(again)), sorted(JSON.parse(text)));
    }),
    runs(500),
  );
});

test("money obeys the laws of whole numbers", () => {
  const amount = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n });
  const scale = fc.integer({ min: 0, max: 10 });
  fc.assert(
    fc.property(amount, scale, amount, scale, (a, s, b, t) => {
      const x = Money.create(a, s)!;
      const y = Money.create(b, t)!;
      assert.equal(Money.parse(x.toText())!.compare(x), 0);
      assert.equal(x.plus(y)!.minus(y)!.compare(x), 0);
      assert.equal(x.times(y)!.compare(y.times(x)!), 0);
      if (!y.isZero()) {
        const quotient = x.dividedFloor(y);
        // y·q <= x < y·(q+1) for positive y, the other way round for negative.
        const low = y.times(quotient)!;
        const high = low.plus(y)!;
        const positive = y.coefficient > 0n;
        assert.ok(positive ? low.compare(x) <= 0 : low.compare(x) >= 0);
        assert.ok(positive ? high.compare(x) > 0 : high.compare(x) < 0);
      }
    }),
    runs(1_000),
  );
});

test("floats: shortest text reads back, fixed notation rounds the exact value", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      assert.equal(parseFloat64(floatToText(value)), value);
      if (Math.abs(value) < 1e21) {
        // The engine writes minus zero without its sign.
        assert.ok(Number(floatToFixed(value, 30)) === Number(value.toFixed(30)));
      }
    }),
    runs(1_000),
  );
});

test("formats never throw but for limits", () => {
  const installed = new Installed();
  assert.deepEqual(
    installed.install(
      'contract Main { data { F string } action { $result = Size(Sprintf($F, 1, "s", 2.5, [1], nil)) } }',
    ),
    [],
  );
  const verb = fc
    .tuple(
      fc.constantFrom("", "-", "+", "0", "#", " "),
      fc.constantFrom("", "5", "*", "99999999", "[2]", "[9]"),
      fc.constantFrom("", ".", ".3", ".*"),
      fc.constantFrom(..."vdsqxXfFeEgGtcUoObTz%é"),
    )
    .map((parts) => `%${parts.join("")}`);
  fc.assert(
    fc.property(fc.array(verb, { maxLength: 6 }), (verbs) => {
      const { error } = installed.run("@1Main", { F: verbs.join(" ") });
      assert.equal(error, undefined);
    }),
    runs(500),
  );
});

test("patterns agree with the engine's own on their common syntax, in linear time", () => {
  const atom = fc.constantFrom(
    "a",
    "b",
    ".",
    "[ab]",
    "[^a]",
    "\\d",
    "\\w",
    "(a|b)",
    "(?:ab)",
    "^",
    "$",
    "\\b",
  );
  const pattern = fc
    .array(fc.tuple(atom, fc.constantFrom("", "", "*", "+", "?", "{2}", "{1,3}")), { maxLength: 5 })
    .map((parts) =>
      parts.map(([one, repeat]) => (/^(\^|\$|\\b)$/.test(one) ? one : one + repeat)).join(""),
    );
  const text = fc
    .array(fc.constantFrom("a", "b", "c", "1", " "), { maxLength: 8 })
    .map((all) => all.join(""));
  fc.assert(
    fc.property(pattern, text, (source, subject) => {
      const expected = new RegExp(source, "u").test(subject);
      assert.equal(
        matchesPattern(parsePattern(source), subject, METER),
        expected,
        `${source} on ${subject}`,
      );
    }),
    runs(2_000),
  );
  const start = performance.now();
  matchesPattern(parsePattern("(a*)*(a|aa)*b"), "a".repeat(20_000), METER);
  assert.ok(performance.now() - start < 20_000);
});
