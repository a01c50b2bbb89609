/** Errors as a person or a program reads them; a stack trace only with HANSE_DEBUG set. */
import { HanseError, toHanseError } from "@hanse/protocol";
import { type Console, toJson } from "./console.ts";
import { EXIT_CODES, type ExitCode, exitCodeOf } from "./exit-codes.ts";

/** Faults of the surroundings that Node reports by code, said in words with a remedy. */
const SYSTEM_FAULTS: Readonly<Record<string, (error: NodeJS.ErrnoException) => HanseError>> = {
  ENOENT: (e) =>
    new HanseError("CLI_NO_FILE", "notFound", `${e.path ?? "file"}: no such file; check the path`),
  EACCES: (e) =>
    new HanseError(
      "CLI_NO_ACCESS",
      "denied",
      `${e.path ?? "file"}: permission denied; run as the owner or change its rights`,
    ),
  EISDIR: (e) =>
    new HanseError("CLI_NOT_A_FILE", "malformed", `${e.path ?? "path"}: is a folder, not a file`),
  ENOTDIR: (e) =>
    new HanseError("CLI_NOT_A_FOLDER", "malformed", `${e.path ?? "path"}: is not a folder`),
  ENOSPC: (e) =>
    new HanseError("CLI_DISK_FULL", "limit", `${e.path ?? "disk"}: no space left; free some`),
};

/** What a person at this command can do about errors that come from rooms below. */
const REMEDIES: Readonly<Record<string, string>> = {
  API_NOT_SIGNED: "here: say who asks, with --as ACCOUNT or --key FILE",
  SDK_UNREACHABLE: "start it with `hanse network up`, or name another with --node",
  SDK_TIMEOUT: "allow more time with --timeout",
  SDK_NOT_FINAL: "ask with `hanse tx status ID --wait`",
};

export function describeError(thrown: unknown): HanseError {
  if (thrown instanceof HanseError) {
    const { code, kind, message, details } = thrown;
    const remedy = REMEDIES[code];
    if (remedy === undefined) return thrown;
    return new HanseError(code, kind, `${message}; ${remedy}`, { details, cause: thrown });
  }
  const code = (thrown as NodeJS.ErrnoException | undefined)?.code;
  const fault = typeof code === "string" ? SYSTEM_FAULTS[code] : undefined;
  return fault === undefined ? toHanseError(thrown) : fault(thrown as NodeJS.ErrnoException);
}

/** Writes the error to standard error and returns the exit code that belongs to it. */
export function reportError(thrown: unknown, console: Console): ExitCode {
  const error = describeError(thrown);
  const exitCode = exitCodeOf(error);
  if (console.json) {
    const { code, kind, message, details } = error;
    console.stderr.write(`${toJson({ error: { code, kind, message, details, exitCode } })}\n`);
  } else {
    const { paint } = console;
    console.stderr.write(
      `${paint.red("error")} ${error.message} ${paint.dim(`(${error.code})`)}\n`,
    );
    if (error.code === "INTERNAL" && !isDebug()) {
      console.stderr.write(paint.dim("Set HANSE_DEBUG=1 to see where it happened.\n"));
    }
  }
  if (isDebug()) {
    for (let at: unknown = thrown; at instanceof Error; at = at.cause) {
      console.stderr.write(`${at.stack}\n`);
    }
  }
  return exitCode;
}

export function isDebug(): boolean {
  const value = process.env.HANSE_DEBUG;
  return value !== undefined && value !== "" && value !== "0";
}

/** @throws HanseError `CLI_USAGE`, exit code 2. */
export function usageError(message: string): never {
  throw new HanseError("CLI_USAGE", "malformed", message, {
    details: { exitCode: EXIT_CODES.usage },
  });
}
