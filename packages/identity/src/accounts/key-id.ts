/**
 * An account's number and its text, as IBAX-family clients know them: SHA-256 of the raw public
 * key, SHA-512, CRC-64/XZ, the last decimal digit replaced by a check digit, read as signed 64 bits.
 */
import { type Bytes, HanseError, type PublicKey, sha256 } from "@hanse/protocol";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { sha512 } from "@noble/hashes/sha2.js";

/** Reflected polynomial of CRC-64/XZ (ECMA-182). */
const POLYNOMIAL = 0xc96c5795d7870f42n;
const ALL_ONES = 0xffff_ffff_ffff_ffffn;
const DIGITS = 20;

const TABLE: readonly bigint[] = Array.from({ length: 256 }, (_, byte) => {
  let remainder = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) {
    remainder = remainder & 1n ? (remainder >> 1n) ^ POLYNOMIAL : remainder >> 1n;
  }
  return remainder;
});

/** CRC-64/XZ; of the ASCII text "123456789" it is 995dc9bbdf1939fa. */
export function crc64(bytes: Bytes): bigint {
  let crc = ALL_ONES;
  for (const byte of bytes) crc = TABLE[Number((crc ^ BigInt(byte)) & 0xffn)]! ^ (crc >> 8n);
  return crc ^ ALL_ONES;
}

/** Check digit over the first 19 of 20 decimal digits, weights 1 and 3 in turn (as in EAN-13). */
function checkDigit(digits: string): number {
  let sum = 0;
  for (let i = 0; i < DIGITS - 1; i++) sum += Number(digits[i]) * (i % 2 === 0 ? 1 : 3);
  return (10 - (sum % 10)) % 10;
}

/** The rest of the chain, for other hash functions over the key than SHA-256. */
export function keyIdOfHash(hash: Bytes): bigint {
  const crc = crc64(sha512(hash));
  const digits = crc.toString().padStart(DIGITS, "0");
  return BigInt.asIntN(64, crc - (crc % 10n) + BigInt(checkDigit(digits)));
}

/** X and Y of an elliptic-curve key, 64 bytes; an Ed25519 key as it is, 32 bytes. */
export function rawKeyBytes(key: PublicKey): Bytes {
  if (key.algorithm === "ed25519") return key.bytes;
  const curve = key.algorithm === "p256" ? p256 : secp256k1;
  try {
    return curve.Point.fromBytes(key.bytes).toBytes(false).subarray(1);
  } catch (cause) {
    throw new HanseError(
      "IDENTITY_KEY",
      "malformed",
      `key: no point of the curve ${key.algorithm}`,
      {
        cause,
      },
    );
  }
}

/**
 * The signed 64-bit number of the account that begins with this key, `$key_id` in Needle.
 * @throws HanseError `IDENTITY_KEY` when the bytes are no point of the curve.
 */
export function keyIdOf(key: PublicKey): bigint {
  return keyIdOfHash(sha256(rawKeyBytes(key)));
}

/** `XXXX-XXXX-XXXX-XXXX-XXXX`: the number read as unsigned. */
export function accountText(keyId: bigint): string {
  const digits = BigInt.asUintN(64, keyId).toString().padStart(DIGITS, "0");
  return digits.replace(/(\d{4})(?=\d)/g, "$1-");
}

/**
 * A number from any of its texts: dashed, unsigned or signed decimal.
 * @throws HanseError `IDENTITY_ACCOUNT_TEXT` on another form, an overflow or a wrong check digit.
 */
export function parseAccountText(text: string): bigint {
  const plain = /^\d{4}(-\d{4}){4}$/.test(text) ? text.replaceAll("-", "") : text;
  const value = /^(-[1-9]\d{0,18}|\d{1,20})$/.test(plain) ? BigInt(plain) : undefined;
  if (value === undefined || value > ALL_ONES || value < -(1n << 63n)) {
    throw new HanseError(
      "IDENTITY_ACCOUNT_TEXT",
      "malformed",
      "account: expected XXXX-XXXX-XXXX-XXXX-XXXX or a 64-bit number",
    );
  }
  const digits = BigInt.asUintN(64, value).toString().padStart(DIGITS, "0");
  if (Number(digits[DIGITS - 1]) !== checkDigit(digits)) {
    throw new HanseError(
      "IDENTITY_ACCOUNT_TEXT",
      "malformed",
      "account: the check digit is wrong: look for a typing error",
    );
  }
  return BigInt.asIntN(64, value);
}
