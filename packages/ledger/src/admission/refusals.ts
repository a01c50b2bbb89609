/** Every way to refuse a transaction: one stable code, one kind, one sentence with the remedy. */
import { type ErrorDetails, type ErrorKind, HanseError } from "@hanse/protocol";

export const ADMISSION_CODES = {
  tooLarge: "LEDGER_TX_TOO_LARGE",
  malformed: "LEDGER_TX_MALFORMED",
  form: "LEDGER_TX_FORM",
  wrongLedger: "LEDGER_TX_WRONG_LEDGER",
  engine: "LEDGER_TX_ENGINE",
  expired: "LEDGER_TX_EXPIRED",
  tooFarAhead: "LEDGER_TX_TOO_FAR_AHEAD",
  pending: "LEDGER_TX_PENDING",
  committed: "LEDGER_TX_COMMITTED",
  signature: "LEDGER_TX_SIGNATURE",
  senderQuota: "LEDGER_SENDER_QUOTA",
  organizationQuota: "LEDGER_ORGANIZATION_QUOTA",
  poolFull: "LEDGER_POOL_FULL",
  busy: "LEDGER_ADMISSION_BUSY",
  batchTooLarge: "LEDGER_BATCH_TOO_LARGE",
  syncing: "LEDGER_SYNCING",
  stalled: "LEDGER_STALLED",
  journalFailed: "LEDGER_JOURNAL_FAILED",
  halted: "LEDGER_HALTED",
} as const;

type Refusal = keyof typeof ADMISSION_CODES;

const KINDS: Readonly<Record<Refusal, ErrorKind>> = {
  tooLarge: "tooLarge",
  malformed: "malformed",
  form: "malformed",
  wrongLedger: "rejected",
  engine: "rejected",
  expired: "rejected",
  tooFarAhead: "rejected",
  pending: "conflict",
  committed: "conflict",
  signature: "denied",
  senderQuota: "limit",
  organizationQuota: "limit",
  poolFull: "limit",
  busy: "limit",
  batchTooLarge: "tooLarge",
  syncing: "unavailable",
  stalled: "unavailable",
  journalFailed: "unavailable",
  halted: "unavailable",
};

export function refuse(
  refusal: Refusal,
  message: string,
  details: ErrorDetails = {},
  cause?: unknown,
): HanseError {
  return new HanseError(ADMISSION_CODES[refusal], KINDS[refusal], message, { details, cause });
}
