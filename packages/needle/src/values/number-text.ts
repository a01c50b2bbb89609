/** Texts of integers and floats, in both directions; the same on every machine. */

const INT_MIN = -(1n << 63n);
const INT_MAX = (1n << 63n) - 1n;

export type ParsedInt = { readonly value: bigint } | { readonly problem: string };

/** Base 10 with an optional sign, nothing else. */
export function parseInt64(text: string): ParsedInt {
  const from = text[0] === "-" || text[0] === "+" ? 1 : 0;
  if (text.length === from) return { problem: "invalid syntax" };
  for (let i = from; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 48 || unit > 57) return { problem: "invalid syntax" };
  }
  // 19 digits at most fit; leading zeros may make the text longer.
  let first = from;
  while (first < text.length - 1 && text[first] === "0") first += 1;
  if (text.length - first > 19) return { problem: "value out of range" };
  let value = BigInt(text.slice(first));
  if (text[0] === "-") value = -value;
  return value < INT_MIN || value > INT_MAX ? { problem: "value out of range" } : { value };
}

/** The number of a decimal text (sign, digits, point, exponent); undefined when it is none. */
export function parseFloat64(text: string): number | undefined {
  if (text.length > 400 || !isDecimal(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

function isDecimal(text: string): boolean {
  let at = text[0] === "-" || text[0] === "+" ? 1 : 0;
  let digits = 0;
  let point = false;
  for (; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 48 && unit <= 57) digits += 1;
    else if (unit === 46 && !point) point = true;
    else break;
  }
  if (digits === 0) return false;
  if (at === text.length) return true;
  if (text[at] !== "e" && text[at] !== "E") return false;
  at += 1;
  if (text[at] === "-" || text[at] === "+") at += 1;
  if (at === text.length) return false;
  for (; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 48 || unit > 57) return false;
  }
  return true;
}

/** Shortest digits that read back as the same number, without point, and the decimal exponent. */
export function shortestDigits(value: number): {
  readonly digits: string;
  readonly exponent: number;
} {
  const [mantissa, exponent] = Math.abs(value).toExponential().split("e") as [string, string];
  return { digits: mantissa.replace(".", ""), exponent: Number(exponent) };
}

export function exponentText(exponent: number): string {
  const size = Math.abs(exponent);
  return `e${exponent < 0 ? "-" : "+"}${size < 10 ? "0" : ""}${size}`;
}

/** Plain decimal notation of digits d1d2d3… × 10^exponent with one digit before the point. */
export function plainDecimal(digits: string, exponent: number): string {
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return digits + "0".repeat(exponent + 1 - digits.length);
  return `${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

/** The form of `Str`: exponent form below 10^-4 and from 10^6 on. */
export function floatToText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  if (value === 0) return `${sign}0`;
  const { digits, exponent } = shortestDigits(value);
  if (exponent < -4 || exponent >= 6) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    return `${sign}${digits[0]}${fraction}${exponentText(exponent)}`;
  }
  return sign + plainDecimal(digits, exponent);
}

/** The form of JSON: plain decimal unless below 10^-6 or from 10^21 on. Undefined for NaN, Inf. */
export function floatToJson(value: number): string | undefined {
  if (!Number.isFinite(value)) return undefined;
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  if (value === 0) return `${sign}0`;
  const { digits, exponent } = shortestDigits(value);
  if (exponent < -6 || exponent >= 21) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    // Two exponent digits above, as many as needed below: e+21, e-7.
    const shown = exponent < 0 ? `e${exponent}` : exponentText(exponent);
    return `${sign}${digits[0]}${fraction}${shown}`;
  }
  return sign + plainDecimal(digits, exponent);
}

/** Fixed notation with `places` digits behind the point, the exact value rounded half to even. */
export function floatToFixed(value: number, places: number): string {
  const negative = value < 0 || Object.is(value, -0);
  const { mantissa, exponent } = exactParts(Math.abs(value));
  // value = mantissa × 2^exponent; scaled = value × 10^places, rounded.
  const scaled = mantissa * 10n ** BigInt(places);
  let rounded: bigint;
  if (exponent >= 0) rounded = scaled << BigInt(exponent);
  else rounded = roundShift(scaled, BigInt(-exponent));
  const digits = rounded.toString().padStart(places + 1, "0");
  const cut = digits.length - places;
  const text = places === 0 ? digits : `${digits.slice(0, cut)}.${digits.slice(cut)}`;
  return negative ? `-${text}` : text;
}

/** value / 2^shift, half to even. */
export function roundShift(value: bigint, shift: bigint): bigint {
  if (shift === 0n) return value;
  const half = 1n << (shift - 1n);
  const rest = value & ((1n << shift) - 1n);
  const quotient = value >> shift;
  if (rest > half || (rest === half && (quotient & 1n) === 1n)) return quotient + 1n;
  return quotient;
}

/** A finite non-negative double as mantissa × 2^exponent, exactly. */
export function exactParts(value: number): {
  readonly mantissa: bigint;
  readonly exponent: number;
} {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 };
}
