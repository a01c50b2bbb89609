/** Built-ins: mathematics, money, random numbers. */
import { sha256, utf8 } from "@hanse/protocol";
import { checkedMoney, dividedByZero } from "../operators/arithmetic.ts";
import { panic } from "../runtime/fault.ts";
import type { NeedleRun } from "../runtime/run.ts";
import { floatToInt, MONEY_ZERO } from "../values/convert.ts";
import { Money } from "../values/money.ts";
import { parseFloat64 } from "../values/number-text.ts";
import type { NeedleValue } from "../values/value.ts";
import { type Builtin, builtin, parameter as p } from "./builtin.ts";
import { logarithm, logarithm10, raised } from "./transcendental.ts";
import { newText } from "./values.ts";

/** Fuel on top of the price for functions computed with many digits. */
const FUEL_TRANSCENDENTAL = 500;

/** What `Floor`, `Log` and the like take: int, float or the text of a number. */
function floatArgument(value: NeedleValue): number {
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "number") return value;
  const parsed = typeof value === "string" ? parseFloat64(value) : undefined;
  if (parsed === undefined) throw panic("NEEDLE_FLOAT", "incorrect float value");
  return parsed;
}

function floatResult(value: number): number {
  if (!Number.isFinite(value)) throw panic("NEEDLE_FLOAT", "incorrect float result");
  return value;
}

function intResult(value: number): bigint {
  floatResult(value);
  if (Math.abs(value) >= 2 ** 63) throw panic("NEEDLE_FLOAT", "incorrect float result");
  return floatToInt(value);
}

/** Half away from zero. */
function rounded(value: number): number {
  const whole = Math.trunc(value);
  return Math.abs(value - whole) >= 0.5 ? whole + Math.sign(value) : whole;
}

/** Decimal of a text; whatever is no number counts as 0. */
function decimalOf(text: string): Money {
  return Money.parse(text) ?? MONEY_ZERO;
}

/** Digits behind the point that divisions keep. */
const DIVISION_DIGITS = 16;

function divide(run: NeedleRun, a: string, b: string): string {
  const divisor = decimalOf(b);
  if (divisor.isZero()) throw dividedByZero();
  return newText(run, checkedMoney(decimalOf(a).dividedRounded(divisor, DIVISION_DIGITS)).toText());
}

/** Newton's iteration on decimals of 16 digits behind the point. */
function squareRoot(run: NeedleRun, text: string): Money {
  const value = decimalOf(text);
  if (value.coefficient < 0n) throw panic("NEEDLE_FLOAT", "square root of a negative number");
  if (value.isZero()) return MONEY_ZERO;
  const three = Money.fromInt(3n);
  const one = Money.fromInt(1n);
  const two = Money.fromInt(2n);
  if (value.compare(three) <= 0) return one;
  let root = value;
  let next = checkedMoney(checkedMoney(value.dividedRounded(two, DIVISION_DIGITS)).plus(one));
  while (next.compare(root) < 0) {
    run.useFuel(20);
    root = next;
    const quotient = checkedMoney(value.dividedRounded(next, DIVISION_DIGITS));
    next = checkedMoney(checkedMoney(quotient.plus(next)).dividedRounded(two, DIVISION_DIGITS));
  }
  return root;
}

/**
 * The next 64 random bits of a run: SHA-256 of the transaction's hash and a counter. Everybody can
 * compute them, before the transaction runs too: good for spreading work, not for lotteries.
 */
function randomBits(run: NeedleRun): bigint {
  const seed = new Uint8Array(run.system.transactionHash.length + 19);
  seed.set(utf8("hanse/random/1\0"));
  seed.set(run.system.transactionHash, 15);
  new DataView(seed.buffer).setUint32(15 + run.system.transactionHash.length, run.randomDrawn);
  run.randomDrawn += 1;
  run.useFuel(50);
  return new DataView(sha256(seed).buffer.slice(0)).getBigUint64(0);
}

/** 0 <= r < span, every value as likely: draws again in the incomplete last part. */
function randomBelow(run: NeedleRun, span: bigint): bigint {
  const words = Math.ceil(span.toString(2).length / 64) + 1;
  const limit = 1n << BigInt(64 * words);
  const usable = limit - (limit % span);
  for (;;) {
    let drawn = 0n;
    for (let i = 0; i < words; i++) drawn = (drawn << 64n) | randomBits(run);
    if (drawn < usable) return drawn % span;
  }
}

function wrongRange(min: string, max: string) {
  return panic("NEEDLE_RANDOM", `wrong random parameters min: ${min}, max: ${max}`);
}

/** Whole amount as text, its point moved left by the digits of the token. */
function formatMoney(run: NeedleRun, text: string, digits: bigint): string {
  if (digits < 0n) throw panic("NEEDLE_MONEY", "digit must be positive");
  if (text.length > 30) throw panic("NEEDLE_MONEY", "too long money");
  if (text === "") return "0";
  if (!/^-?[0-9]+$/.test(text)) throw panic("NEEDLE_MONEY", "wrong money format");
  let places = digits;
  if (places === 0n) {
    const work = run.host.functions.TokenDigits;
    places = work === undefined ? 0n : work.call(run.host.functions, run, run.system.ecosystemId);
  }
  if (places > 100n) throw panic("NEEDLE_MONEY", "more than 100 digits");
  return newText(run, checkedMoney(Money.create(BigInt(text), Number(places))).toText());
}

const x = p("x", "any");
const a = p("a", "string");
const b = p("b", "string");

function transcendental(work: (x: number) => number) {
  return (run: NeedleRun, value: NeedleValue) => {
    run.useFuel(FUEL_TRANSCENDENTAL);
    return floatResult(work(floatArgument(value)));
  };
}

function comparing(holds: (order: number) => boolean) {
  return (_: NeedleRun, left: string, right: string) =>
    holds(decimalOf(left).compare(decimalOf(right)));
}

export const NUMBER_BUILTINS: readonly Builtin[] = [
  builtin("Floor", [x], "int", "Greatest integer not above a number.", {}, (_, value) =>
    intResult(Math.floor(floatArgument(value))),
  ),
  builtin("Round", [x], "int", "Nearest integer, half away from zero.", {}, (_, value) =>
    intResult(rounded(floatArgument(value))),
  ),
  builtin("Log", [x], "float", "Natural logarithm.", {}, transcendental(logarithm)),
  builtin("Log10", [x], "float", "Decimal logarithm.", {}, transcendental(logarithm10)),
  builtin("Sqrt", [x], "float", "Square root.", {}, (_, value) =>
    floatResult(Math.sqrt(floatArgument(value))),
  ),
  builtin("Pow", [x, p("y", "any")], "float", "x raised to the power of y.", {}, (run, base, y) => {
    run.useFuel(FUEL_TRANSCENDENTAL);
    return floatResult(raised(floatArgument(base), floatArgument(y)));
  }),
  builtin(
    "MathMod",
    [p("x", "float"), p("y", "float")],
    "float",
    "Remainder with the sign of x.",
    {},
    (_, value, divisor) => value % divisor,
  ),
  builtin(
    "MathModDecimal",
    [p("x", "money"), p("y", "money")],
    "money",
    "Remainder of amounts.",
    {},
    (_, value, divisor) => {
      if (divisor.isZero()) throw dividedByZero();
      return checkedMoney(value.remainder(divisor));
    },
  ),
  builtin("Div", [a, b], "string", "Quotient of decimal texts with 16 digits.", {}, divide),
  builtin(
    "GreaterThan",
    [a, b],
    "bool",
    "a > b as decimals.",
    {},
    comparing((order) => order > 0),
  ),
  builtin(
    "GreaterThanOrEqual",
    [a, b],
    "bool",
    "a >= b as decimals.",
    {},
    comparing((order) => order >= 0),
  ),
  builtin(
    "LessThan",
    [a, b],
    "bool",
    "a < b as decimals.",
    {},
    comparing((order) => order < 0),
  ),
  builtin(
    "LessThanOrEqual",
    [a, b],
    "bool",
    "a <= b as decimals.",
    {},
    comparing((order) => order <= 0),
  ),
  builtin("SqrtDecimal", [a], "money", "Square root of a decimal text.", {}, squareRoot),
  builtin(
    "Random",
    [p("min", "int"), p("max", "int")],
    "int",
    "Random number from min to below max, the same on every node.",
    {},
    (run, min, max) => {
      if (min < 0n || max < 0n || min >= max) throw wrongRange(`${min}`, `${max}`);
      return min + randomBelow(run, max - min);
    },
  ),
  builtin(
    "RandomFloat",
    [p("min", "float"), p("max", "float")],
    "float",
    "Random float from min to below max.",
    {},
    (run, min, max) => {
      if (!(min >= 0 && max >= 0 && min < max)) throw wrongRange(`${min}`, `${max}`);
      return min + (Number(randomBits(run) >> 11n) / 2 ** 53) * (max - min);
    },
  ),
  builtin(
    "RandomDecimal",
    [p("min", "money"), p("max", "money")],
    "money",
    "Random whole amount from min to below max.",
    {},
    (run, min, max) => {
      const least = min.floor().coefficient;
      const most = max.floor().coefficient;
      if (least < 0n || most < 0n || least >= most) throw wrongRange(min.toText(), max.toText());
      return Money.fromInt(least + randomBelow(run, most - least));
    },
  ),
  builtin(
    "FormatMoney",
    [p("amount", "string"), p("digits", "int")],
    "string",
    "Amount with its point moved left; 0 digits means those of the ecosystem's token.",
    {},
    formatMoney,
  ),
];
