/** A block that begins an epoch by the organizations' recovery document, seen by who checks a record. */
import { recoveryAuthority } from "@hanse/modules";
import { tryDecodeRecovery, verifyRecovery } from "@hanse/ordering";
import {
  type Block,
  equalBytes,
  type Hash,
  type ValidatorSet,
  verifySignature,
} from "@hanse/protocol";
import type { StateView } from "@hanse/state";

export type RecoveryStep =
  | { readonly ok: true; readonly set: ValidatorSet }
  | { readonly ok: false; readonly reason: string };

/**
 * What a block's recovery document puts in force; undefined when it carries none. Judged by the
 * administrators that the state knows today.
 */
export function readRecoveryStep(
  { header, evidence }: Block,
  below: { readonly hash: Hash | undefined; readonly set: ValidatorSet },
  ledger: { readonly ledgerId: Hash; readonly state: StateView },
): RecoveryStep | undefined {
  const [first] = evidence;
  const document = first === undefined ? undefined : tryDecodeRecovery(first);
  if (document === undefined) return undefined;
  const refuse = (reason: string): RecoveryStep => ({ ok: false, reason });
  const { height, engineEpoch, set, blockHash } = document;
  if (height !== header.height - 1 || engineEpoch !== header.engineEpoch) {
    return refuse("its recovery document is of another height or epoch");
  }
  if (below.hash !== undefined && !equalBytes(blockHash, below.hash)) {
    return refuse("its recovery document names another block below");
  }
  const authority = recoveryAuthority(ledger.state, ledger.ledgerId, {
    set: below.set,
    engineEpoch: engineEpoch - 1,
  });
  const verdict = verifyRecovery(document, authority, ({ key, message, signature }) =>
    verifySignature(key, message, signature),
  );
  return verdict.ok ? { ok: true, set } : refuse(`its recovery document: ${verdict.reason}`);
}
