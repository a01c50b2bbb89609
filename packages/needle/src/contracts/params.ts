/** Parameters of a transaction: checked against the data fields and turned into values. */
import { type CborValue, HanseError } from "@hanse/protocol";
import { decodeBase64 } from "../builtins/values.ts";
import { VALUE_DEPTH_MAX } from "../runtime/limits.ts";
import { zeroValue } from "../values/convert.ts";
import { Money } from "../values/money.ts";
import { parseFloat64, parseInt64 } from "../values/number-text.ts";
import { NeedleArray, NeedleMap, type NeedleValue } from "../values/value.ts";
import type { ContractField, ContractSignature } from "./unit.ts";

function refuse(contract: string, code: string, message: string): never {
  throw new HanseError(code, "malformed", `contract '${contract}': ${message}`);
}

/**
 * Checks the parameters of a call and gives the contract's data fields.
 * int, address: integer of 64 bits; float: integer, or decimal text (the encoding has no floats);
 * money: text of a whole number from 1 on; bytes: bytes; array, map: with anything inside;
 * file: map of `Name`, `MimeType` (texts) and `Body` (bytes).
 * @throws HanseError `NEEDLE_PARAM_UNKNOWN`, `NEEDLE_PARAM_MISSING`, `NEEDLE_PARAM_INVALID`.
 */
export function checkParams(
  contract: ContractSignature,
  given: ReadonlyMap<string, CborValue>,
): Map<string, NeedleValue> {
  const { fullName, fields } = contract;
  for (const name of given.keys()) {
    if (!fields.some((field) => field.name === name)) {
      const message = `'${name.slice(0, 60)}' parameter is not required`;
      refuse(fullName, "NEEDLE_PARAM_UNKNOWN", message);
    }
  }
  const values = new Map<string, NeedleValue>();
  for (const field of fields) {
    const raw = given.get(field.name);
    if (raw !== undefined) {
      const value = convert(field, raw);
      if (isProblem(value)) {
        const message = `invalid param '${field.name}': ${value.problem}`;
        refuse(fullName, "NEEDLE_PARAM_INVALID", message);
      }
      values.set(field.name, value);
    } else if (field.optional) values.set(field.name, missing(field));
    else {
      const message = `Parameter ${field.name} has not been found`;
      refuse(fullName, "NEEDLE_PARAM_MISSING", message);
    }
  }
  return values;
}

function missing(field: ContractField): NeedleValue {
  if (field.type !== "file") return zeroValue(field.type);
  return NeedleMap.of([
    ["Name", ""],
    ["MimeType", ""],
    ["Body", new Uint8Array(0)],
  ]);
}

type Converted = NeedleValue | { readonly problem: string };

function convert(field: ContractField, raw: CborValue): Converted {
  switch (field.type) {
    case "bool":
      return typeof raw === "boolean" ? raw : { problem: "invalid bool type" };
    case "int":
    case "address":
      return integerOf(raw) ?? { problem: "invalid int type" };
    case "float": {
      const whole = integerOf(raw);
      if (whole !== undefined) return Number(whole);
      const value = typeof raw === "string" ? parseFloat64(raw) : undefined;
      return value ?? { problem: "invalid float type" };
    }
    case "money": {
      if (typeof raw !== "string") return { problem: "invalid money type" };
      const value = Money.parse(raw);
      if (value === undefined || value.scale !== 0 || value.coefficient < 1n) {
        const problem = "inconsistent with the smallest reference unit and its integer multiples";
        return { problem };
      }
      return value;
    }
    case "string":
      return typeof raw === "string" ? raw : { problem: "invalid string type" };
    case "bytes":
      return raw instanceof Uint8Array ? raw.slice() : { problem: "invalid bytes type" };
    case "array":
      return Array.isArray(raw) ? anyValue(raw, 0) : { problem: "invalid array type" };
    case "map":
      return raw instanceof Map ? anyValue(raw, 0) : { problem: "invalid map type" };
    case "file":
      return fileOf(raw);
  }
}

function integerOf(raw: CborValue): bigint | undefined {
  if (typeof raw === "number") return BigInt(raw);
  if (typeof raw !== "bigint") return undefined;
  return BigInt.asIntN(64, raw) === raw ? raw : undefined;
}

function fileOf(raw: CborValue): Converted {
  if (!(raw instanceof Map)) return { problem: "invalid file type" };
  const map = raw as ReadonlyMap<string, CborValue>;
  const name = map.get("Name");
  const mimeType = map.get("MimeType");
  const body = map.get("Body");
  if (
    map.size !== 3 ||
    typeof name !== "string" ||
    typeof mimeType !== "string" ||
    !(body instanceof Uint8Array)
  ) {
    return { problem: "invalid attrs of file" };
  }
  return NeedleMap.of([
    ["Name", name],
    ["MimeType", mimeType],
    ["Body", body.slice()],
  ]);
}

function anyValue(raw: CborValue, depth: number): Converted {
  if (depth > VALUE_DEPTH_MAX) return { problem: "nested too deep" };
  if (raw === null || typeof raw === "boolean" || typeof raw === "string") return raw;
  if (typeof raw === "number" || typeof raw === "bigint") {
    return integerOf(raw) ?? { problem: "integer beyond 64 bits" };
  }
  if (raw instanceof Uint8Array) return raw.slice();
  if (Array.isArray(raw)) {
    const items: NeedleValue[] = [];
    for (const item of raw as readonly CborValue[]) {
      const value = anyValue(item, depth + 1);
      if (isProblem(value)) return value;
      items.push(value);
    }
    return NeedleArray.of(items);
  }
  const map = new NeedleMap();
  for (const [key, item] of raw as ReadonlyMap<string, CborValue>) {
    const value = anyValue(item, depth + 1);
    if (isProblem(value)) return value;
    map.set(key, value);
  }
  return map;
}

function isProblem(value: Converted): value is { readonly problem: string } {
  return typeof value === "object" && value !== null && "problem" in value;
}

/**
 * Parameters as people and programs write them in JSON, in the form that transactions carry:
 * integers also as decimal text, bytes and file bodies as base64, money as text or integer, floats
 * as numbers.
 * @throws HanseError `NEEDLE_PARAM_INVALID`, `NEEDLE_PARAM_UNKNOWN`.
 */
export function paramsFromJson(
  contract: ContractSignature,
  given: Readonly<Record<string, unknown>>,
): Map<string, CborValue> {
  const { fullName, fields } = contract;
  const values = new Map<string, CborValue>();
  for (const name of Object.keys(given)) {
    const field = fields.find((one) => one.name === name);
    if (field === undefined) {
      const message = `'${name.slice(0, 60)}' parameter is not required`;
      refuse(fullName, "NEEDLE_PARAM_UNKNOWN", message);
    }
    const value = jsonParam(field, given[name]);
    if (value === undefined) {
      refuse(fullName, "NEEDLE_PARAM_INVALID", `invalid param '${name}': expected ${field.type}`);
    }
    values.set(name, value);
  }
  return values;
}

function jsonParam(field: ContractField, raw: unknown): CborValue | undefined {
  switch (field.type) {
    case "int":
    case "address": {
      if (typeof raw === "number" && Number.isSafeInteger(raw)) return raw;
      const parsed = typeof raw === "string" ? parseInt64(raw) : undefined;
      return parsed !== undefined && "value" in parsed ? parsed.value : undefined;
    }
    case "float":
      if (typeof raw === "number" && Number.isFinite(raw)) return String(raw);
      return typeof raw === "string" ? raw : undefined;
    case "money":
      if (typeof raw === "number" && Number.isSafeInteger(raw)) return String(raw);
      return typeof raw === "string" ? raw : undefined;
    case "bytes":
      return typeof raw === "string" ? decodeBase64(raw) : undefined;
    case "file": {
      if (typeof raw !== "object" || raw === null) return undefined;
      const { Name, MimeType, Body } = raw as {
        Name?: unknown;
        MimeType?: unknown;
        Body?: unknown;
      };
      const body = typeof Body === "string" ? decodeBase64(Body) : undefined;
      if (typeof Name !== "string" || typeof MimeType !== "string" || body === undefined) {
        return undefined;
      }
      return new Map<string, CborValue>([
        ["Name", Name],
        ["MimeType", MimeType],
        ["Body", body],
      ]);
    }
    default:
      return anyJson(raw, 0);
  }
}

function anyJson(raw: unknown, depth: number): CborValue | undefined {
  if (depth > VALUE_DEPTH_MAX) return undefined;
  if (raw === null || typeof raw === "boolean") return raw;
  if (typeof raw === "string") return raw.toWellFormed();
  if (typeof raw === "number") return Number.isSafeInteger(raw) ? raw : String(raw);
  if (Array.isArray(raw)) {
    const items: CborValue[] = [];
    for (const item of raw) {
      const value = anyJson(item, depth + 1);
      if (value === undefined) return undefined;
      items.push(value);
    }
    return items;
  }
  if (typeof raw !== "object") return undefined;
  const map = new Map<string, CborValue>();
  for (const [key, item] of Object.entries(raw)) {
    const value = anyJson(item, depth + 1);
    if (value === undefined) return undefined;
    map.set(key.toWellFormed(), value);
  }
  return map;
}
