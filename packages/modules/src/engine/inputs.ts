/** Fields of a query's input. */
import { HanseError } from "@hanse/protocol";

type Input = Readonly<Record<string, unknown>>;

/** @throws HanseError `MODULE_ARGUMENT` naming the field. */
export function inputText(input: Input, field: string): string | undefined {
  const value = input[field];
  if (value === undefined || typeof value === "string") return value;
  throw new HanseError("MODULE_ARGUMENT", "malformed", `input.${field}: expected a text`, {
    details: { field },
  });
}

/** 0 to `most`. @throws HanseError `MODULE_ARGUMENT` naming the field. */
export function inputCount(input: Input, field: string, otherwise: number, most: number): number {
  const value = input[field] ?? otherwise;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most) {
    return value;
  }
  throw new HanseError("MODULE_ARGUMENT", "malformed", `input.${field}: expected 0 to ${most}`, {
    details: { field },
  });
}
