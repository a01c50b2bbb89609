/** Parameters of a contract call, from the words of a command line to the types of its fields. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { CborValue } from "@hanse/protocol";
import { HanseError, nearestName } from "@hanse/protocol";

/** A data field of a contract, as the ledger describes it. */
export interface ContractField {
  readonly name: string;
  /** Needle type: bool, int, address, float, money, string, bytes, array, map, file. */
  readonly type: string;
  readonly optional: boolean;
}

export interface ParameterWords {
  /** `Field=value` or `Field:=json`. */
  readonly params: readonly string[];
  /** `Field=path`: the SHA-256 of the file, as 64 hexadecimal digits. */
  readonly files: readonly string[];
}

function refuse(field: string, message: string): never {
  throw new HanseError("CLI_USAGE_PARAM", "malformed", `${field}: ${message}`, {
    details: { field },
  });
}

/** SHA-256 of a file's content in lower-case hex. The file itself goes nowhere. */
export function hashFile(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function splitWord(option: string, word: string, separator: RegExp): [string, string, string] {
  const match = separator.exec(word);
  if (match === null) refuse(option, `"${word}" must read Field=value`);
  const name = word.slice(0, match.index);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/u.test(name)) {
    refuse(option, `"${name}" is not the name of a field in "${word}"`);
  }
  return [name, match[0], word.slice(match.index + match[0].length)];
}

const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;

function toInteger(field: string, text: string): CborValue {
  if (!/^[+-]?\d{1,20}$/u.test(text.trim())) refuse(field, `"${text}" is not a whole number`);
  const value = BigInt(text.trim());
  if (value < INT_MIN || value > INT_MAX) refuse(field, `${text} does not fit into 64 bits`);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** JSON without fractions, as CBOR here has none. */
function toCbor(field: string, value: unknown): CborValue {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) refuse(field, `${value}: numbers must be whole; use a text`);
    return value;
  }
  if (Array.isArray(value)) return value.map((item) => toCbor(field, item));
  return new Map(Object.entries(value as object).map(([key, item]) => [key, toCbor(field, item)]));
}

function parseJson(field: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return refuse(field, `"${text}" is not JSON`);
  }
}

function toFieldValue(field: ContractField, text: string): CborValue {
  switch (field.type) {
    case "bool":
      if (text === "true" || text === "false") return text === "true";
      return refuse(field.name, `"${text}" must be true or false`);
    case "int":
    case "address":
      return toInteger(field.name, text);
    case "float":
      if (!/^[+-]?\d+(\.\d+)?$/u.test(text)) refuse(field.name, `"${text}" is not a number`);
      return text;
    case "money":
      if (!/^\d+$/u.test(text)) refuse(field.name, `"${text}" is not a whole amount`);
      return text;
    case "bytes":
      if (!/^(?:[0-9a-fA-F]{2})*$/u.test(text)) refuse(field.name, "expected hexadecimal digits");
      return Uint8Array.from(Buffer.from(text, "hex"));
    case "array":
    case "map":
      return toCbor(field.name, parseJson(field.name, text));
    default:
      return text;
  }
}

/**
 * Values for a contract's fields. Without a description of the fields every value is a text.
 * @throws HanseError `CLI_USAGE_PARAM` naming the field: unknown, given twice, missing, wrong form.
 */
export function parseCallParameters(
  words: ParameterWords,
  contract: string,
  fields: readonly ContractField[] | undefined,
): Map<string, CborValue> {
  const values = new Map<string, CborValue>();
  const describe = (name: string): ContractField => {
    if (values.has(name)) refuse(name, "is given twice");
    const field = fields?.find((one) => one.name === name);
    if (field === undefined && fields !== undefined) {
      const names = fields.map((one) => one.name);
      const like = nearestName(name, names);
      refuse(
        name,
        `${contract} has no such field${like === undefined ? "" : `; did you mean ${like}?`}${names.length === 0 ? "; it has none" : ` (fields: ${names.join(", ")})`}`,
      );
    }
    return field ?? { name, type: "string", optional: true };
  };
  for (const word of words.params) {
    const [name, separator, text] = splitWord("--param", word, /:?=/u);
    const field = describe(name);
    values.set(
      name,
      separator === ":=" ? toCbor(name, parseJson(name, text)) : toFieldValue(field, text),
    );
  }
  for (const word of words.files) {
    const [name, , path] = splitWord("--file", word, /=/u);
    const field = describe(name);
    values.set(
      name,
      field.type === "file"
        ? new Map<string, CborValue>([
            ["Name", path.split("/").at(-1)!],
            ["MimeType", "application/octet-stream"],
            ["Body", new Uint8Array(readFileSync(path))],
          ])
        : hashFile(path),
    );
  }
  const missing = fields?.filter((field) => !field.optional && !values.has(field.name)) ?? [];
  if (missing.length > 0) {
    refuse(
      missing.map((field) => field.name).join(", "),
      `missing; ${contract} needs ${missing.map((field) => `--param ${field.name}=<${field.type}>`).join(" ")}`,
    );
  }
  return values;
}
