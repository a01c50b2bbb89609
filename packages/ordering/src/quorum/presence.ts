/** Who was there: read from the signatures in the certificate that a block carries. */
import {
  type Bytes,
  bitmapToIndices,
  decodeCertificate,
  type ValidatorId,
  type ValidatorSet,
} from "@hanse/protocol";

/**
 * The members whose finalize vote for the parent stands in a block's `lastCert`, in the set's
 * order; none for the empty certificate of height 1. `set` is the parent's. Signatures are not
 * checked again: whoever votes for a block has checked them.
 * @throws HanseError `CERTIFICATE_INVALID`, `CBOR_*` or `FIELD_INVALID` on other bytes.
 */
export function presentMembers(
  lastCert: Bytes,
  set: Pick<ValidatorSet, "members">,
): readonly ValidatorId[] {
  if (lastCert.length === 0) return [];
  const present: ValidatorId[] = [];
  for (const index of bitmapToIndices(decodeCertificate(lastCert).signers)) {
    const member = set.members[index];
    if (member !== undefined) present.push(member.id);
  }
  return present;
}
