/** What a caller can do about an error; HTTP status, retry advice and peer penalty follow from it. */
export type ErrorKind =
  | "malformed"
  | "rejected"
  | "denied"
  | "notFound"
  | "conflict"
  | "tooLarge"
  | "limit"
  | "unavailable"
  | "corrupt";

/** Flat, serialisable facts about an error; never secrets, never row contents. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * The one error class of the platform. `code` is stable and never reused (`LEDGER_TX_EXPIRED`);
 * `message` is one sentence that names the field and says what to do; `details` are flat facts.
 */
export class HanseError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly details: ErrorDetails;

  constructor(
    code: string,
    kind: ErrorKind,
    message: string,
    options: { readonly details?: ErrorDetails; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "HanseError";
    this.code = code;
    this.kind = kind;
    this.details = options.details ?? {};
  }
}

/** Turns anything thrown into a HanseError; foreign errors become `INTERNAL` with their cause kept. */
export function toHanseError(thrown: unknown): HanseError {
  if (thrown instanceof HanseError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new HanseError("INTERNAL", "corrupt", message, { cause: thrown });
}

/** Stops the component on a broken invariant: a bug, never bad input. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new HanseError("INVARIANT", "corrupt", `broken invariant: ${what}`);
}
