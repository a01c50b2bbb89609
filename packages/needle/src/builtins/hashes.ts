/** Built-ins: hashes, and the texts of account numbers. */
import { sha256, toHex } from "@hanse/protocol";
import { panic } from "../runtime/fault.ts";
import type { NeedleRun } from "../runtime/run.ts";
import { bytesToText, textToBytes } from "../values/byte-text.ts";
import { typeText } from "../values/convert.ts";
import type { NeedleValue } from "../values/value.ts";
import { type Builtin, builtin, parameter as p } from "./builtin.ts";
import { chargeWork, newText } from "./values.ts";

const BLOCK = 64;

/** RFC 2104 with SHA-256. */
export function hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array {
  const block = new Uint8Array(BLOCK);
  block.set(key.length > BLOCK ? sha256(key) : key);
  const inner = new Uint8Array(BLOCK + message.length);
  inner.set(block.map((byte) => byte ^ 0x36));
  inner.set(message, BLOCK);
  const outer = new Uint8Array(BLOCK + 32);
  outer.set(block.map((byte) => byte ^ 0x5c));
  outer.set(sha256(inner), BLOCK);
  return sha256(outer);
}

function hashOf(run: NeedleRun, value: NeedleValue): string {
  if (typeof value !== "string" && !(value instanceof Uint8Array)) {
    throw panic("NEEDLE_PARAMETER_TYPE", `Unsupported type ${typeText(value)}`);
  }
  chargeWork(run, value.length);
  return newText(run, toHex(sha256(typeof value === "string" ? textToBytes(value) : value)));
}

/** Check digit over the first 19 of 20 digits, weights 1 and 3 in turn. */
function checkDigit(digits: string): number {
  let sum = 0;
  for (let i = 0; i < 19; i++) sum += Number(digits[i]) * (i % 2 === 0 ? 1 : 3);
  return (10 - (sum % 10)) % 10;
}

function idToAddress(id: bigint): string {
  const digits = BigInt.asUintN(64, id).toString().padStart(20, "0");
  if (Number(digits[19]) !== checkDigit(digits)) return "invalid";
  return digits.replace(/(\d{4})(?=\d)/g, "$1-");
}

function addressToId(text: string): bigint {
  const plain = /^\d{4}(-\d{4}){4}$/.test(text) ? text.replaceAll("-", "") : text;
  if (plain.length < 2 || !/^(-[1-9]\d{0,18}|\d{2,20})$/.test(plain)) return 0n;
  const value = BigInt(plain);
  if (value >= 1n << 64n || value < -(1n << 63n)) return 0n;
  const digits = BigInt.asUintN(64, value).toString().padStart(20, "0");
  return Number(digits[19]) === checkDigit(digits) ? BigInt.asIntN(64, value) : 0n;
}

const value = p("value", "any");

export const HASH_BUILTINS: readonly Builtin[] = [
  builtin("Hash", [value], "string", "SHA-256 of a text or bytes, hexadecimal.", {}, hashOf),
  builtin("Sha256", [value], "string", "Older name of Hash.", {}, hashOf),
  builtin(
    "DoubleHash",
    [p("bytes", "bytes")],
    "bytes",
    "SHA-256 of the SHA-256 of bytes.",
    {},
    (run, bytes) => {
      chargeWork(run, bytes.length);
      return sha256(sha256(bytes));
    },
  ),
  builtin(
    "HMac",
    [p("key", "string"), p("data", "string"), p("raw", "bool")],
    "string",
    "HMAC-SHA-256 as raw bytes or hexadecimal.",
    {},
    (run, key, data, raw) => {
      chargeWork(run, 2 * (key.length + data.length));
      const code = hmacSha256(textToBytes(key), textToBytes(data));
      return newText(run, raw ? bytesToText(code) : toHex(code));
    },
  ),
  builtin(
    "IdToAddress",
    [p("id", "int")],
    "string",
    "Address of an account number, or `invalid`.",
    { fuel: 10 },
    (_, id) => idToAddress(id),
  ),
  builtin(
    "AddressToId",
    [p("address", "string")],
    "int",
    "Account number of an address; 0 if it is none.",
    { fuel: 10 },
    (_, address) => addressToId(address),
  ),
];
