/** What a node answers to a follower of headers: one page of a ledger's set changes (spec/light.md). */
import { decodeHeader, encodeHeader } from "../block/header.ts";
import { validatorSetFromCbor, validatorSetToCbor } from "../block/validator-set.ts";
import { type Bytes, concatBytes, equalBytes, utf8 } from "../encoding/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBoolean, asBytes } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { HASH_BYTES, type Hash } from "../hash/domain.ts";
import { decodeFinalityProof, encodeFinalityProof } from "./finality-proof.ts";
import type { LightBlock } from "./light-chain.ts";

/** The first eight bytes of a page; the version byte follows. */
export const LIGHT_PAGE_MAGIC: Bytes = utf8("HANSELGT");
export const LIGHT_PAGE_VERSION = 1;
/** Larger pages are refused unread. */
export const LIGHT_PAGE_BYTES_MAX = 8 * 1024 * 1024;
/** Set changes in one page. */
export const LIGHT_PAGE_CHANGES_MAX = 200;

export interface LightPage {
  readonly ledgerId: Hash;
  /** The last block before each change of the set, ascending, from the height asked for on. */
  readonly changes: readonly LightBlock[];
  /** Whether `changes` reach up to `newest`; otherwise ask again from above the last one. */
  readonly complete: boolean;
  /** The newest proven block of the node that answers. */
  readonly newest: LightBlock;
}

/** A block as pages and fork files hold it. */
export function lightBlockToCbor({ proof, set }: LightBlock): CborValue {
  return [encodeHeader(proof.header), encodeFinalityProof(proof), validatorSetToCbor(set)];
}

/** @throws HanseError naming the field. */
export function lightBlockFromCbor(value: CborValue | undefined, at: string): LightBlock {
  const [header, proof, set] = asArray(value, at, 3);
  return {
    proof: decodeFinalityProof(
      asBytes(proof, `${at}.proof`),
      decodeHeader(asBytes(header, `${at}.header`)),
    ),
    set: validatorSetFromCbor(set, `${at}.set`),
  };
}

export function encodeLightPage(page: LightPage): Bytes {
  const body = encodeCbor([
    page.ledgerId,
    page.changes.map(lightBlockToCbor),
    page.complete,
    lightBlockToCbor(page.newest),
  ]);
  return concatBytes(LIGHT_PAGE_MAGIC, Uint8Array.of(LIGHT_PAGE_VERSION), body);
}

function invalid(message: string, kind: "malformed" | "tooLarge" = "malformed"): never {
  throw new HanseError("LIGHT_PAGE_INVALID", kind, message);
}

/**
 * Reads a page; proves nothing. Only the one encoding of a page is taken.
 * @throws HanseError `LIGHT_PAGE_INVALID`, `FIELD_INVALID`, `CBOR_*` and the codes of what is
 * inside, naming the field.
 */
export function decodeLightPage(bytes: Bytes): LightPage {
  if (bytes.length > LIGHT_PAGE_BYTES_MAX) {
    invalid(`a page has at most ${LIGHT_PAGE_BYTES_MAX} bytes`, "tooLarge");
  }
  const start = LIGHT_PAGE_MAGIC.length;
  if (bytes.length <= start || !equalBytes(bytes.subarray(0, start), LIGHT_PAGE_MAGIC)) {
    invalid("this is no page of headers: it does not begin with HANSELGT");
  }
  if (bytes[start] !== LIGHT_PAGE_VERSION) {
    invalid(`page version ${bytes[start]}; this program reads version ${LIGHT_PAGE_VERSION}`);
  }
  const f = asArray(decodeCbor(bytes.subarray(start + 1)), "page", 4);
  const changes = asArray(f[1], "page.changes");
  if (changes.length > LIGHT_PAGE_CHANGES_MAX) {
    invalid(`page.changes: at most ${LIGHT_PAGE_CHANGES_MAX} entries`);
  }
  const page: LightPage = {
    ledgerId: asBytes(f[0], "page.ledgerId", HASH_BYTES),
    changes: changes.map((item, i) => lightBlockFromCbor(item, `page.changes[${i}]`)),
    complete: asBoolean(f[2], "page.complete"),
    newest: lightBlockFromCbor(f[3], "page.newest"),
  };
  if (!equalBytes(encodeLightPage(page), bytes)) invalid("the page is not in canonical form");
  return page;
}
