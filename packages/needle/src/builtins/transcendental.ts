/**
 * Logarithms and powers in fixed-point arithmetic of whole numbers: the engines' own Math.log and
 * Math.pow may differ in the last digit between versions and machines; these cannot.
 */
import { exactParts } from "../values/number-text.ts";

/** Binary digits behind the point while computing. */
const BITS = 160n;
const ONE = 1n << BITS;

function multiply(a: bigint, b: bigint): bigint {
  return (a * b) >> BITS;
}

/** 2 × atanh(n/d) = ln((d+n)/(d-n)) by its series; |n/d| at most 1/3. */
function doubledAtanh(z: bigint): bigint {
  const square = multiply(z, z);
  let term = z;
  let sum = 0n;
  for (let divisor = 1n; term !== 0n && term !== -1n; divisor += 2n) {
    sum += term / divisor;
    term = multiply(term, square);
  }
  return 2n * sum;
}

const LN2 = doubledAtanh(ONE / 3n);
/** ln 10 = 3 ln 2 + ln(10/8), and 10/8 = (1 + 1/9) / (1 - 1/9). */
const LN10 = 3n * LN2 + doubledAtanh(ONE / 9n);

/** ln of a finite positive double, as fixed-point number. */
function fixedLogarithm(value: number): bigint {
  const { mantissa, exponent } = exactParts(value);
  // value = m × 2^e with m between 2/3 and 4/3.
  const length = BigInt(mantissa.toString(2).length);
  let m = (mantissa << BITS) >> length;
  let e = BigInt(exponent) + length;
  if (3n * m < 2n * ONE) {
    m <<= 1n;
    e -= 1n;
  }
  return doubledAtanh(((m - ONE) << BITS) / (m + ONE)) + e * LN2;
}

/** The double nearest to a fixed-point number. */
function toDouble(fixed: bigint): number {
  return ratioToDouble(fixed, -Number(BITS));
}

/** value × 2^exponent as the nearest double, half to even. */
function ratioToDouble(value: bigint, exponent: number): number {
  if (value === 0n) return 0;
  const negative = value < 0n;
  let size = negative ? -value : value;
  let scale = exponent;
  const surplus = size.toString(2).length - 64;
  if (surplus > 0) {
    // 64 digits and one that tells whether anything was cut off suffice to round correctly.
    const cut = BigInt(surplus);
    const exact = (size >> cut) << cut === size;
    size >>= cut;
    if (!exact) size |= 1n;
    scale += surplus;
  }
  const lowest = Math.max(scale, -1074 - 64);
  if (lowest > scale) return negative ? -0 : 0;
  // Numbers below the normal range are rounded at their own last digit.
  const below = -1074 - scale;
  if (below > 0) {
    const cut = BigInt(below);
    const half = 1n << (cut - 1n);
    const rest = size & ((1n << cut) - 1n);
    size >>= cut;
    if (rest > half || (rest === half && (size & 1n) === 1n)) size += 1n;
    scale = -1074;
  }
  let result = Number(size);
  // Powers of two are exact; in two steps, so that neither leaves the range of doubles.
  const first = Math.max(-1000, Math.min(1000, scale));
  result = result * powerOfTwo(first) * powerOfTwo(scale - first);
  return negative ? -result : result;
}

/** 2^exponent for exponents of normal doubles, by its bits. */
function powerOfTwo(exponent: number): number {
  const view = new DataView(new ArrayBuffer(8));
  if (exponent > 1023) return Number.POSITIVE_INFINITY;
  if (exponent < -1022) {
    view.setBigUint64(0, exponent < -1074 ? 0n : 1n << BigInt(exponent + 1074));
  } else view.setBigUint64(0, BigInt(exponent + 1023) << 52n);
  return view.getFloat64(0);
}

export function logarithm(value: number): number {
  if (!(value > 0)) return Number.NaN;
  if (value === Number.POSITIVE_INFINITY) return value;
  return toDouble(fixedLogarithm(value));
}

export function logarithm10(value: number): number {
  if (!(value > 0)) return Number.NaN;
  if (value === Number.POSITIVE_INFINITY) return value;
  return toDouble((fixedLogarithm(value) << BITS) / LN10);
}

/** e^x of a fixed-point number. */
function exponential(x: bigint): number {
  let count = x / LN2;
  if (x < 0n) count -= 1n;
  if (count > 1100n) return Number.POSITIVE_INFINITY;
  if (count < -1200n) return 0;
  const rest = x - count * LN2;
  let term = ONE;
  let sum = 0n;
  for (let n = 1n; term !== 0n; n++) {
    sum += term;
    term = multiply(term, rest) / n;
  }
  return ratioToDouble(sum, Number(count) - Number(BITS));
}

/** x^y with the special cases of IEEE 754 `pow`. */
export function raised(x: number, y: number): number {
  if (y === 0 || x === 1) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.NaN;
  if (!Number.isFinite(x) || !Number.isFinite(y) || x === 0) return x ** y;
  const whole = Number.isInteger(y);
  if (x < 0 && !whole) return Number.NaN;
  const negative = x < 0 && Math.abs(y) % 2 === 1;
  const size = Math.abs(x);
  let result: number;
  if (whole && Math.abs(y) <= 64) result = wholePower(size, y);
  else {
    // y × ln x: as many digits behind the point are kept as y has before it.
    const { mantissa, exponent } = exactParts(Math.abs(y));
    let product = fixedLogarithm(size) * mantissa;
    product = exponent >= 0 ? product << BigInt(exponent) : product >> BigInt(-exponent);
    result = exponential(y < 0 ? -product : product);
  }
  return negative ? -result : result;
}

/** Exact, rounded once. */
function wholePower(size: number, y: number): number {
  const { mantissa, exponent } = exactParts(size);
  const count = Math.abs(y);
  const value = mantissa ** BigInt(count);
  if (y > 0) return ratioToDouble(value, exponent * count);
  const length = BigInt(value.toString(2).length + 128);
  const quotient = (1n << length) / value;
  return ratioToDouble(quotient | 1n, -exponent * count - Number(length));
}
