/** Decimal numbers of any precision, exact: a whole coefficient divided by a power of ten. */

/** Digits before and after the point together; a result beyond it is refused. */
export const MONEY_DIGITS_MAX = 1_000;

const LIMIT = 10n ** BigInt(MONEY_DIGITS_MAX);

function power(exponent: number): bigint {
  return 10n ** BigInt(exponent);
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
}

export class Money {
  /** Value times 10^scale. */
  readonly coefficient: bigint;
  /** Digits after the point, 0 to MONEY_DIGITS_MAX. */
  readonly scale: number;

  private constructor(coefficient: bigint, scale: number) {
    this.coefficient = coefficient;
    this.scale = scale;
  }

  /** Undefined when it has more than MONEY_DIGITS_MAX digits. */
  static create(coefficient: bigint, scale = 0): Money | undefined {
    let whole = coefficient;
    let digits = scale;
    while (digits > 0 && whole % 10n === 0n) {
      whole /= 10n;
      digits -= 1;
    }
    if (digits > MONEY_DIGITS_MAX || whole >= LIMIT || whole <= -LIMIT) return undefined;
    return new Money(whole, digits);
  }

  static fromInt(value: bigint): Money {
    return new Money(value, 0);
  }

  /**
   * Reads decimal text with optional sign, point and exponent; undefined when it is something else
   * or out of bounds.
   */
  static parse(text: string): Money | undefined {
    if (text.length > 2 * MONEY_DIGITS_MAX) return undefined;
    let at = 0;
    const negative = text[0] === "-";
    if (negative || text[0] === "+") at += 1;
    let digits = "";
    let scale = 0;
    let point = false;
    for (; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit >= 48 && unit <= 57) {
        digits += text[at];
        if (point) scale += 1;
      } else if (unit === 46 && !point) point = true;
      else break;
    }
    if (digits === "") return undefined;
    if (at < text.length) {
      if (text[at] !== "e" && text[at] !== "E") return undefined;
      const exponentText = text.slice(at + 1);
      const signed = exponentText[0] === "-" || exponentText[0] === "+";
      const body = signed ? exponentText.slice(1) : exponentText;
      if (body === "" || body.length > 6) return undefined;
      for (let i = 0; i < body.length; i++) {
        const unit = body.charCodeAt(i);
        if (unit < 48 || unit > 57) return undefined;
      }
      scale -= Number(exponentText);
    }
    let coefficient = BigInt(digits);
    if (negative) coefficient = -coefficient;
    if (coefficient === 0n) return new Money(0n, 0);
    if (scale < 0) {
      if (-scale > MONEY_DIGITS_MAX) return undefined;
      coefficient *= power(-scale);
      scale = 0;
    }
    if (scale > 2 * MONEY_DIGITS_MAX) return undefined;
    return Money.create(coefficient, scale);
  }

  /** Decimal text without exponent or superfluous zeros. */
  toText(): string {
    if (this.scale === 0) return this.coefficient.toString();
    const negative = this.coefficient < 0n;
    const digits = (negative ? -this.coefficient : this.coefficient)
      .toString()
      .padStart(this.scale + 1, "0");
    const cut = digits.length - this.scale;
    return `${negative ? "-" : ""}${digits.slice(0, cut)}.${digits.slice(cut)}`;
  }

  isZero(): boolean {
    return this.coefficient === 0n;
  }

  floor(): Money {
    if (this.scale === 0) return this;
    return new Money(floorDivide(this.coefficient, power(this.scale)), 0);
  }

  /** Toward zero. */
  integerPart(): bigint {
    return this.scale === 0 ? this.coefficient : this.coefficient / power(this.scale);
  }

  toNumber(): number {
    return Number(this.toText());
  }

  #aligned(other: Money): readonly [bigint, bigint, number] {
    if (this.scale === other.scale) return [this.coefficient, other.coefficient, this.scale];
    const scale = Math.max(this.scale, other.scale);
    return [
      this.coefficient * power(scale - this.scale),
      other.coefficient * power(scale - other.scale),
      scale,
    ];
  }

  compare(other: Money): number {
    const [a, b] = this.#aligned(other);
    return a === b ? 0 : a < b ? -1 : 1;
  }

  plus(other: Money): Money | undefined {
    const [a, b, scale] = this.#aligned(other);
    return Money.create(a + b, scale);
  }

  minus(other: Money): Money | undefined {
    const [a, b, scale] = this.#aligned(other);
    return Money.create(a - b, scale);
  }

  times(other: Money): Money | undefined {
    return Money.create(this.coefficient * other.coefficient, this.scale + other.scale);
  }

  /** The greatest whole number not above the quotient. The divisor must not be zero. */
  dividedFloor(other: Money): Money {
    const [a, b] = this.#aligned(other);
    return new Money(floorDivide(a, b), 0);
  }

  /** Remainder with the sign of the dividend. The divisor must not be zero. */
  remainder(other: Money): Money | undefined {
    const [a, b, scale] = this.#aligned(other);
    return Money.create(a % b, scale);
  }

  /** Quotient with `digits` digits after the point, half away from zero. */
  dividedRounded(other: Money, digits: number): Money | undefined {
    const [a, b] = this.#aligned(other);
    const scaled = (a < 0n ? -a : a) * power(digits);
    const divisor = b < 0n ? -b : b;
    const rounded = (2n * scaled + divisor) / (2n * divisor);
    return Money.create(a < 0n !== b < 0n ? -rounded : rounded, digits);
  }
}
