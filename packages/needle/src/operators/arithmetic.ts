/** `+ - * /` over the type table of the language; everything it does not list is refused. */
import { limitFault, type NeedleFault, panic } from "../runtime/fault.ts";
import { concatTexts } from "../values/byte-text.ts";
import { textToInt, toFloat } from "../values/convert.ts";
import { MONEY_DIGITS_MAX, Money } from "../values/money.ts";
import type { NeedleValue } from "../values/value.ts";

export type ArithmeticOperator = "+" | "-" | "*" | "/";

export function unsupported(): NeedleFault {
  return panic("NEEDLE_OPERAND_TYPES", "unsupported combination of types in the operator");
}

export function dividedByZero(): NeedleFault {
  return panic("NEEDLE_DIVISION", "divided by zero");
}

export function intArithmetic(operator: ArithmeticOperator, a: bigint, b: bigint): bigint {
  switch (operator) {
    case "+":
      return BigInt.asIntN(64, a + b);
    case "-":
      return BigInt.asIntN(64, a - b);
    case "*":
      return BigInt.asIntN(64, a * b);
    case "/":
      if (b === 0n) throw dividedByZero();
      return BigInt.asIntN(64, a / b);
  }
}

function floatArithmetic(operator: ArithmeticOperator, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      if (b === 0) throw dividedByZero();
      return a / b;
  }
}

export function checkedMoney(value: Money | undefined): Money {
  if (value !== undefined) return value;
  throw limitFault("NEEDLE_MONEY_DIGITS", `money value needs more than ${MONEY_DIGITS_MAX} digits`);
}

function moneyArithmetic(operator: ArithmeticOperator, a: Money, b: Money): Money {
  switch (operator) {
    case "+":
      return checkedMoney(a.plus(b));
    case "-":
      return checkedMoney(a.minus(b));
    case "*":
      return checkedMoney(a.times(b));
    case "/":
      if (b.isZero()) throw dividedByZero();
      return a.dividedFloor(b);
  }
}

/** The slow path of every arithmetic operator: any operands. @throws NeedleFault */
export function arithmetic(
  operator: ArithmeticOperator,
  a: NeedleValue,
  b: NeedleValue,
): NeedleValue {
  if (typeof a === "bigint") {
    if (typeof b === "bigint") return intArithmetic(operator, a, b);
    if (typeof b === "number") return floatArithmetic(operator, Number(a), b);
    if (typeof b === "string") return intArithmetic(operator, a, textToInt(b));
  } else if (typeof a === "string") {
    if (typeof b === "string" && operator === "+") return concatTexts(a, b);
    if (typeof b === "bigint") return intArithmetic(operator, textToInt(a), b);
    if (typeof b === "number") return floatArithmetic(operator, toFloat(a), b);
  } else if (typeof a === "number") {
    if (typeof b === "number" || typeof b === "bigint" || typeof b === "string") {
      return floatArithmetic(operator, a, toFloat(b));
    }
  } else if (a instanceof Money && b instanceof Money) return moneyArithmetic(operator, a, b);
  throw unsupported();
}

/** Unary minus. @throws NeedleFault for anything but an integer or float. */
export function negate(value: NeedleValue): NeedleValue {
  if (typeof value === "bigint") return BigInt.asIntN(64, -value);
  if (typeof value === "number") return -value;
  throw unsupported();
}
