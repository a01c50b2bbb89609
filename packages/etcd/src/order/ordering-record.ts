/**
 * What etcd puts in order: the header of a block and its leader's word on it, never the body. The
 * header names the body by its roots; bodies travel between the members (spec/etcd.md).
 */
import {
  asArray,
  asBytes,
  asUint,
  type BlockHeader,
  type Bytes,
  DOMAINS,
  decodeCbor,
  decodeHeader,
  encodeCbor,
  encodeHeader,
  HanseError,
  type Hash,
  hashHeader,
  SIGNATURE_BYTES,
  withDomain,
} from "@hanse/protocol";

export const RECORD_BYTES_MAX = 4096;

export interface OrderingRecord {
  readonly header: BlockHeader;
  /** The block's hash. */
  readonly hash: Hash;
  /** Revision at which the leader's term began; the fence of its transaction. */
  readonly term: number;
  /** Of the header's proposer, over `orderedMessage`. */
  readonly signature: Bytes;
}

/** The bytes a leader signs for a block that it puts in order in its term. */
export function orderedMessage(subject: {
  readonly ledgerId: Hash;
  readonly engineEpoch: number;
  readonly height: number;
  readonly term: number;
  readonly blockHash: Hash;
}): Bytes {
  const { ledgerId, engineEpoch, height, term, blockHash } = subject;
  return withDomain(DOMAINS.ordered, encodeCbor([ledgerId, engineEpoch, height, term, blockHash]));
}

/** @throws HanseError `ETCD_RECORD` when it would be larger than a record may be. */
export function encodeRecord(record: OrderingRecord): Bytes {
  const bytes = encodeCbor([encodeHeader(record.header), record.term, record.signature]);
  if (bytes.length > RECORD_BYTES_MAX) {
    const message = `ordering record: ${bytes.length} bytes, at most ${RECORD_BYTES_MAX}`;
    throw new HanseError("ETCD_RECORD", "tooLarge", message);
  }
  return bytes;
}

/**
 * Structure only; the signature is the caller's to check.
 * @throws HanseError `ETCD_RECORD`, `CBOR_*`, `HEADER_VERSION` or `FIELD_INVALID`.
 */
export function decodeRecord(bytes: Bytes): OrderingRecord {
  if (bytes.length > RECORD_BYTES_MAX) {
    const message = `ordering record: at most ${RECORD_BYTES_MAX} bytes`;
    throw new HanseError("ETCD_RECORD", "malformed", message);
  }
  const [headerBytes, term, signature] = asArray(decodeCbor(bytes), "record", 3);
  const header = decodeHeader(asBytes(headerBytes, "record.header"));
  return {
    header,
    hash: hashHeader(header),
    term: asUint(term, "record.term"),
    signature: asBytes(signature, "record.signature", SIGNATURE_BYTES),
  };
}
