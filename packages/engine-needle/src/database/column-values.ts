/** Between values of the language and values of columns; results of selects are texts. */

import type { CatalogColumn } from "@hanse/ecosystem";
import {
  bytesToText,
  encodeJson,
  JsonNumber,
  type Meter,
  Money,
  NeedleArray,
  NeedleMap,
  type NeedleValue,
  textToBytes,
} from "@hanse/needle";
import { fromHex, HanseError, toHex } from "@hanse/protocol";
import { type ColumnValue, canonicalJson, INT64_MAX, INT64_MIN } from "@hanse/state";
import { dateText, dateValue } from "./date-text.ts";

/** What a write turns into text is paid for by its size, where rows are written. */
export const UNMETERED: Meter = { useFuel() {}, useMemory() {} };

function wrong(column: CatalogColumn, message: string): never {
  throw new HanseError("NEEDLE_COLUMN_VALUE", "rejected", `column ${column.name}: ${message}`, {
    details: { column: column.name, type: column.type.name },
  });
}

/** Text of a column's value as selects return it; null is the empty text. */
export function columnText(value: ColumnValue, column: CatalogColumn): string {
  if (value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "bigint") {
    return column.state === "time" ? dateText(value) : value.toString();
  }
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "number") return floatText(value);
  return toHex(value);
}

/** Plain decimal below 10^21, as JSON writes numbers. */
function floatText(value: number): string {
  return Object.is(value, -0) ? "0" : String(value);
}

/** Fixed notation with 13 digits behind the point: the form in which floats reach columns. */
function fixedText(value: number): string {
  return Math.abs(value) < 1e21 ? value.toFixed(13) : String(value);
}

/** Text form of a value for a column of text. */
function plainText(value: NeedleValue, column: CatalogColumn): string {
  if (typeof value === "string") return value;
  if (value === null) return "";
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") return fixedText(value);
  if (typeof value === "boolean") return value ? "true" : "false";
  if (value instanceof Money) return value.toText();
  if (value instanceof JsonNumber) return value.text;
  if (value instanceof Uint8Array) return bytesToText(value);
  if (value instanceof NeedleMap || value instanceof NeedleArray)
    return encodeJson(value, UNMETERED);
  return wrong(column, "this value has no text");
}

const INTEGER = /^[+-]?\d{1,30}$/;

function toInt(value: NeedleValue, column: CatalogColumn): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "number") {
    if (!Number.isInteger(value)) wrong(column, `${value} is not a whole number`);
    return inRange(BigInt(value), column);
  }
  if (value instanceof Money) {
    if (value.scale !== 0) wrong(column, `${value.toText()} is not a whole number`);
    return inRange(value.coefficient, column);
  }
  const text = plainText(value, column).trim();
  if (!INTEGER.test(text)) wrong(column, `'${text.slice(0, 60)}' is not a whole number`);
  return inRange(BigInt(text.startsWith("+") ? text.slice(1) : text), column);
}

function inRange(value: bigint, column: CatalogColumn): bigint {
  if (value < INT64_MIN || value > INT64_MAX) wrong(column, `${value} exceeds 64 bits`);
  return value;
}

export function toMoney(value: NeedleValue, column: CatalogColumn): Money {
  if (value instanceof Money) return value;
  if (typeof value === "bigint") return Money.fromInt(value);
  const text = plainText(value, column).trim();
  const money = Money.parse(text);
  return money ?? wrong(column, `'${text.slice(0, 60)}' is not a decimal number`);
}

function toFloat(value: NeedleValue, column: CatalogColumn): number {
  const number =
    typeof value === "number"
      ? Number(fixedText(value))
      : Number(plainText(value, column).trim() || "x");
  if (!Number.isFinite(number)) wrong(column, "not a number");
  return Object.is(number, -0) ? 0 : number;
}

function toBool(value: NeedleValue, column: CatalogColumn): boolean {
  if (typeof value === "boolean") return value;
  switch (plainText(value, column).trim().toLowerCase()) {
    case "true":
    case "t":
    case "1":
      return true;
    case "false":
    case "f":
    case "0":
      return false;
    default:
      return wrong(column, "expected true or false");
  }
}

const CURRENT = /\b(?:now\s*\(|localtime|current_(?:date|timestamp|time))/i;

function toTime(value: NeedleValue, column: CatalogColumn): bigint {
  if (typeof value === "bigint") return inRange(value * 1000n, column);
  let text = plainText(value, column).trim();
  if (CURRENT.test(text)) {
    throw new HanseError(
      "NEEDLE_COLUMN_VALUE",
      "rejected",
      "it is prohibited to use current_time or current_date or localtime or current_timestamp sql keyword",
    );
  }
  if (text.startsWith("timestamp ")) text = text.slice("timestamp ".length).replaceAll("'", "");
  return dateValue(text) ?? wrong(column, `'${text.slice(0, 60)}' is no YYYY-MM-DD HH:MM:SS`);
}

/** What a `col: value` of an insert or update writes. @throws HanseError `NEEDLE_COLUMN_VALUE` */
export function toColumnValue(value: NeedleValue, column: CatalogColumn): ColumnValue {
  if (value === "NULL") return null;
  switch (column.state) {
    case "text": {
      const text = plainText(value, column);
      if (!text.isWellFormed() || text.includes("\0")) {
        wrong(column, "the text holds bytes that are no UTF-8, or a zero character");
      }
      const { lengthMax } = column.type;
      // Characters are counted only where the cheap bound fails.
      if (lengthMax !== undefined && text.length > lengthMax && [...text].length > lengthMax) {
        wrong(column, `longer than ${lengthMax} characters`);
      }
      return text;
    }
    case "int":
      return value === null ? null : toInt(value, column);
    case "money":
      return value === null ? null : toMoney(value, column).toText();
    case "float":
      return value === null ? null : toFloat(value, column);
    case "bool":
      return value === null ? null : toBool(value, column);
    case "time":
      return value === null || value === "" ? null : toTime(value, column);
    case "bytes":
      if (value instanceof Uint8Array) return value;
      if (typeof value === "string") {
        return /^(?:[0-9a-fA-F]{2})*$/.test(value) ? fromHex(value) : textToBytes(value);
      }
      return value === null ? new Uint8Array(0) : textToBytes(plainText(value, column));
    case "json":
      if (value === null || value === "") return null;
      try {
        return canonicalJson(plainText(value, column));
      } catch {
        return wrong(column, "not valid JSON");
      }
  }
}

/** What a where-map compares a column with. @throws HanseError `NEEDLE_COLUMN_VALUE` */
export function toComparedValue(value: NeedleValue, column: CatalogColumn): ColumnValue {
  if (column.state === "text") return value === null ? "" : plainText(value, column);
  return toColumnValue(value, column);
}
