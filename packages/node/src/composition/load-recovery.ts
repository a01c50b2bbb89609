/** The organizations' word on how to go on after a loss of quorum, as an operator hands it over. */
import { readFileSync, statSync } from "node:fs";
import { readRules, recoveryAuthority } from "@hanse/modules";
import {
  decodeRecovery,
  RECOVERY_BYTES_MAX,
  type RecoveryDocument,
  verifyRecovery,
} from "@hanse/ordering";
import { type Bytes, HanseError, type Hash, toHanseError, verifySignature } from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import type { NodeLog } from "../log/create-log.ts";

/**
 * The document in a file, if the ledger's state does not show its epoch yet.
 * @throws HanseError `NODE_RECOVERY` when it cannot be read or may not be followed.
 */
export function loadRecovery(
  file: string,
  ledger: { readonly ledgerId: Hash; readonly state: StateView },
  log: NodeLog,
): RecoveryDocument | undefined {
  const document = decodeRecoveryFile(file);
  if (readRules(ledger.state).engineEpoch >= document.engineEpoch) {
    log.info({ file, engineEpoch: document.engineEpoch }, "this recovery is over; drop the file");
    return undefined;
  }
  const authority = recoveryAuthority(ledger.state, ledger.ledgerId);
  const verdict = verifyRecovery(document, authority, ({ key, message, signature }) =>
    verifySignature(key, message, signature),
  );
  if (!verdict.ok) refuse(file, verdict.reason);
  const { height, engineEpoch, set } = document;
  const members = set.members.map(({ id }) => id);
  const { organizations } = verdict;
  log.warn({ height, engineEpoch, members, organizations }, "RECOVERY: a new epoch begins");
  return document;
}

function refuse(file: string, reason: string): never {
  throw new HanseError("NODE_RECOVERY", "rejected", `recovery ${file}: ${reason}`);
}

function decodeRecoveryFile(file: string): RecoveryDocument {
  let bytes: Bytes;
  try {
    if (statSync(file).size > RECOVERY_BYTES_MAX) {
      refuse(file, `it is longer than ${RECOVERY_BYTES_MAX} bytes`);
    }
    bytes = readFileSync(file);
  } catch (thrown) {
    refuse(file, toHanseError(thrown).message);
  }
  try {
    return decodeRecovery(new Uint8Array(bytes));
  } catch (thrown) {
    refuse(file, toHanseError(thrown).message);
  }
}
