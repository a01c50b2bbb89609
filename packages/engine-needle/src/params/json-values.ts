/** Values of JSON as values of the language. */
import { NeedleArray, NeedleMap, type NeedleValue } from "@hanse/needle";
import { HanseError } from "@hanse/protocol";

/** Nesting of an input. */
export const INPUT_DEPTH_MAX = 32;

/** Whole numbers are ints, fractions floats, objects maps. @throws HanseError `NEEDLE_PARAMS` */
export function valueFromJson(value: unknown, field: string, depth = 0): NeedleValue {
  if (depth > INPUT_DEPTH_MAX) {
    throw new HanseError("NEEDLE_PARAMS", "malformed", `${field}: nested too deep`);
  }
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "bigint" && BigInt.asIntN(64, value) === value) return value;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) {
    return NeedleArray.of(
      value.map((item, at) => valueFromJson(item, `${field}[${at}]`, depth + 1)),
    );
  }
  if (typeof value === "object") {
    return NeedleMap.of(
      Object.entries(value).map(([key, item]) => [
        key,
        valueFromJson(item, `${field}.${key}`, depth + 1),
      ]),
    );
  }
  throw new HanseError("NEEDLE_PARAMS", "malformed", `${field}: no value of JSON`);
}
