/** Named checks in order, the first that fails ends them: how receipts and fork files are judged. */
import { HanseError } from "../errors/hanse-error.ts";

/** One step of the verification. */
export interface ReceiptCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, as a sentence for people. */
  readonly detail: string;
}

/** Ends the verification: the check in progress fails for this reason. */
class Refusal extends Error {}

export function refuse(reason: string): never {
  throw new Refusal(reason);
}

/** What is told of a list whose last check failed. */
export interface FailedChecks {
  readonly ok: false;
  readonly checks: readonly ReceiptCheck[];
  readonly reason: string;
}

/** Runs named checks one after the other and keeps their verdicts. */
export class CheckList {
  readonly checks: ReceiptCheck[] = [];
  #name: string;

  /** `name` stands for what fails before the first check. */
  constructor(name: string) {
    this.#name = name;
  }

  run<T>(name: string, check: () => readonly [detail: string, result: T]): T {
    this.#name = name;
    const [detail, result] = check();
    this.checks.push({ name, ok: true, detail });
    return result;
  }

  /** Takes what a check threw; what is neither a refusal nor a coded error of bad input goes on. */
  fail(thrown: unknown): FailedChecks {
    if (!(thrown instanceof Refusal || thrown instanceof HanseError)) throw thrown;
    if (thrown instanceof HanseError && thrown.code === "KEYS_NOT_READY") throw thrown;
    const detail = thrown.message;
    this.checks.push({ name: this.#name, ok: false, detail });
    return { ok: false, checks: this.checks, reason: `${this.#name}: ${detail}` };
  }
}
