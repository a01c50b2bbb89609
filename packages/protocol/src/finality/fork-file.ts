/**
 * Fork files: two proofs that make two blocks of one height final, and the certificates that tell
 * who lied (spec/forks.md). Anybody who trusts the ledger's genesis, or a later block below the
 * fork, can judge one; it needs neither a node nor a network.
 */
import { type Certificate, decodeCertificate, encodeCertificate } from "../block/certificate.ts";
import { hashHeader } from "../block/header.ts";
import type { ValidatorSet } from "../block/validator-set.ts";
import { type Bytes, compareBytes, concatBytes, equalBytes, utf8 } from "../encoding/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { HASH_BYTES, type Hash } from "../hash/domain.ts";
import type { FinalityProof } from "./finality-proof.ts";
import type { LightBlock } from "./light-chain.ts";
import { lightBlockFromCbor, lightBlockToCbor } from "./light-page.ts";

/** The first eight bytes of a fork file; the version byte follows. */
export const FORK_MAGIC: Bytes = utf8("HANSEFRK");
export const FORK_VERSION = 1;
/** Usual ending of a fork file's name. */
export const FORK_FILE_EXTENSION = ".fork";
/** Larger files are refused unread. */
export const FORK_BYTES_MAX = 16 * 1024 * 1024;
/** Headers that lead from what is trusted to the fork. */
export const FORK_PATH_MAX = 1_000;
export const FORK_CERTIFICATES_MAX = 512;

export interface ForkFile {
  readonly ledgerId: Hash;
  /** Set changes between what the checker trusts and the fork, as a light client follows them. */
  readonly path: readonly LightBlock[];
  /** The set that both proofs name. */
  readonly set: ValidatorSet;
  /** Two proofs for one height, in the order of `compareProofs`. */
  readonly proofs: readonly [FinalityProof, FinalityProof];
  /** Notarizations and nullifications of the fork's height, in the order of their encodings. */
  readonly certificates: readonly Certificate[];
}

function viewOf(proof: FinalityProof): number {
  return proof.kind === "qc" ? proof.certificate.view : 0;
}

/** The proof of the lower view first; of equal views the one of the lower block hash. */
export function compareProofs(a: FinalityProof, b: FinalityProof): number {
  const views = viewOf(a) - viewOf(b);
  return views !== 0 ? views : compareBytes(hashHeader(a.header), hashHeader(b.header));
}

/** A file in its one form: proofs and certificates in order, none twice. */
export function createForkFile(parts: {
  readonly ledgerId: Hash;
  readonly path?: readonly LightBlock[];
  readonly set: ValidatorSet;
  readonly proofs: readonly [FinalityProof, FinalityProof];
  readonly certificates?: readonly Certificate[];
}): ForkFile {
  const { ledgerId, path = [], set, certificates = [] } = parts;
  const [one, other] = parts.proofs;
  const proofs = compareProofs(one, other) <= 0 ? ([one, other] as const) : ([other, one] as const);
  const sorted = certificates
    .map((certificate) => ({ certificate, bytes: encodeCertificate(certificate) }))
    .sort((a, b) => compareBytes(a.bytes, b.bytes))
    .filter(({ bytes }, i, all) => i === 0 || !equalBytes(bytes, all[i - 1]!.bytes));
  return {
    ledgerId,
    path,
    set,
    proofs,
    certificates: sorted.map(({ certificate }) => certificate),
  };
}

/** The bytes of a fork file. */
export function encodeForkFile(file: ForkFile): Bytes {
  const { ledgerId, path, set, proofs, certificates } = file;
  const body = encodeCbor([
    ledgerId,
    path.map(lightBlockToCbor),
    proofs.map((proof) => lightBlockToCbor({ proof, set })),
    certificates.map(encodeCertificate) as Bytes[],
  ]);
  return concatBytes(FORK_MAGIC, Uint8Array.of(FORK_VERSION), body);
}

function invalid(message: string, kind: "malformed" | "tooLarge" = "malformed"): never {
  throw new HanseError("FORK_INVALID", kind, message);
}

function readList<T>(
  value: CborValue | undefined,
  field: string,
  most: number,
  read: (item: CborValue, at: string) => T,
): T[] {
  const items = asArray(value, field);
  if (items.length > most) invalid(`${field}: at most ${most} entries`);
  return items.map((item, i) => read(item, `${field}[${i}]`));
}

/**
 * Reads a fork file; proves nothing. Only the one encoding of a file is taken.
 * @throws HanseError `FORK_INVALID`, `FIELD_INVALID`, `CBOR_*` and the codes of what is inside,
 * naming the field.
 */
export function decodeForkFile(bytes: Bytes): ForkFile {
  if (bytes.length > FORK_BYTES_MAX) {
    invalid(`a fork file has at most ${FORK_BYTES_MAX} bytes`, "tooLarge");
  }
  const start = FORK_MAGIC.length;
  if (bytes.length <= start || !equalBytes(bytes.subarray(0, start), FORK_MAGIC)) {
    invalid("this file is no fork file: it does not begin with HANSEFRK");
  }
  if (bytes[start] !== FORK_VERSION) {
    invalid(`fork file version ${bytes[start]}; this program reads version ${FORK_VERSION}`);
  }
  const f = asArray(decodeCbor(bytes.subarray(start + 1)), "fork", 4);
  const [one, other] = asArray(f[2], "fork.proofs", 2).map((item, i) =>
    lightBlockFromCbor(item, `fork.proofs[${i}]`),
  ) as [LightBlock, LightBlock];
  if (!equalBytes(one.set.hash, other.set.hash)) {
    invalid("fork.proofs: of two sets; bring the proofs of the height where the histories part");
  }
  const file = createForkFile({
    ledgerId: asBytes(f[0], "fork.ledgerId", HASH_BYTES),
    path: readList(f[1], "fork.path", FORK_PATH_MAX, lightBlockFromCbor),
    set: one.set,
    proofs: [one.proof, other.proof],
    certificates: readList(f[3], "fork.certificates", FORK_CERTIFICATES_MAX, (item, at) =>
      decodeCertificate(asBytes(item, at)),
    ),
  });
  if (!equalBytes(encodeForkFile(file), bytes)) invalid("the file is not in canonical form");
  return file;
}
