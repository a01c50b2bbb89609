/** Exit codes of the `hanse` command; scripts may rely on them. */
import type { HanseError } from "@hanse/protocol";

export const EXIT_CODES = {
  ok: 0,
  /** The ledger or a check refused, or the work failed. */
  failed: 1,
  /** Wrong command, option or argument. */
  usage: 2,
  /** No node answered. */
  unreachable: 3,
  /** Nodes answered, but not what was waited for in time. */
  timeout: 4,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

export function exitCodeOf(error: Pick<HanseError, "code">): ExitCode {
  if (error.code.startsWith("CLI_USAGE")) return EXIT_CODES.usage;
  if (error.code.endsWith("_UNREACHABLE")) return EXIT_CODES.unreachable;
  if (error.code.endsWith("_TIMEOUT") || error.code === "SDK_NOT_FINAL") return EXIT_CODES.timeout;
  return EXIT_CODES.failed;
}
