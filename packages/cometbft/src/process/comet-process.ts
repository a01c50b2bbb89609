/** CometBFT as a process beside the node: found, started, started again when it ends, stopped. */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, closeSync, constants, openSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { HanseError } from "@hanse/protocol";
import type { CometControl } from "../engine/options.ts";

/** The release that the tests install and that is recommended. */
export const COMET_VERSION = "0.38.25";
export const COMET_MODULE = `github.com/cometbft/cometbft/cmd/cometbft@v${COMET_VERSION}`;

const RESTART_MS_MIN = 200;
const RESTART_MS_MAX = 5_000;
/** Running for so long counts as a good start. */
const STEADY_MS = 10_000;
/** After this a process that was asked to end is ended. */
const STOP_MS_MAX = 10_000;
/** A log that is larger is begun anew at the next start. */
const LOG_BYTES_MAX = 16 * 1024 * 1024;

/** Where `go install` is told to put the binary. */
export function cometCacheFolder(): string {
  return join(homedir(), ".cache", "hanse", "bin");
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** `COMETBFT_BIN`, then PATH, then the cache; undefined = none is there. */
export function findCometBinary(
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const named = environment.COMETBFT_BIN;
  if (named !== undefined && named !== "") return isExecutable(named) ? named : undefined;
  const folders = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...folders, cometCacheFolder()]
    .map((folder) => join(folder, "cometbft"))
    .find(isExecutable);
}

export interface CometProcessOptions {
  readonly binary: string;
  /** Its home folder. */
  readonly home: string;
  /** Its output is appended there. */
  readonly logFile: string;
  /** Told of starts and ends, for the node's log. */
  readonly onChange?: (
    event: "started" | "ended",
    facts: Readonly<Record<string, unknown>>,
  ) => void;
}

/** Keeps CometBFT running until it is stopped; it ends by itself when its application is gone. */
export function createCometProcess(options: CometProcessOptions): CometControl & {
  readonly pid: number | undefined;
} {
  const { binary, home, logFile, onChange } = options;
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let pauseMs = RESTART_MS_MIN;
  let failure: string | undefined;

  function launch(proxyUrl: string): void {
    timer = undefined;
    const startedAt = Date.now();
    const large = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
    const log = openSync(logFile, large > LOG_BYTES_MAX ? "w" : "a", 0o600);
    const own = spawn(binary, ["start", "--home", home, "--proxy_app", proxyUrl], {
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child = own;
    const ended = (reason: string) => {
      if (child !== own) return;
      child = undefined;
      onChange?.("ended", { reason });
      if (stopped) return;
      if (Date.now() - startedAt > STEADY_MS) pauseMs = RESTART_MS_MIN;
      else failure = `CometBFT ended (${reason}); see ${logFile}`;
      timer = setTimeout(() => launch(proxyUrl), pauseMs);
      pauseMs = Math.min(RESTART_MS_MAX, pauseMs * 2);
    };
    own.once("error", (error) => ended(error.message));
    own.once("exit", (code, signal) => ended(signal ?? `exit code ${code}`));
    own.once("spawn", () => {
      onChange?.("started", { pid: own.pid, home });
      setTimeout(() => {
        if (child === own) failure = undefined;
      }, STEADY_MS).unref();
    });
  }

  return {
    get pid() {
      return child?.pid;
    },
    get failure() {
      return failure;
    },
    start(proxyUrl) {
      if (child === undefined && timer === undefined && !stopped) launch(proxyUrl);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      const own = child;
      if (own === undefined || own.exitCode !== null || own.signalCode !== null) return;
      const gone = new Promise<void>((resolve) => own.once("exit", () => resolve()));
      own.kill("SIGTERM");
      // A process that is suspended hears nothing until it goes on.
      own.kill("SIGCONT");
      const last = setTimeout(() => own.kill("SIGKILL"), STOP_MS_MAX);
      await gone;
      clearTimeout(last);
    },
  };
}

/** @throws HanseError `COMET_BINARY` when no CometBFT is installed. */
export function requireCometBinary(
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const found = findCometBinary(environment);
  if (found !== undefined) return found;
  throw new HanseError(
    "COMET_BINARY",
    "notFound",
    `no cometbft in COMETBFT_BIN, PATH or ${cometCacheFolder()}: install CometBFT ${COMET_VERSION}, for example with GOBIN=${cometCacheFolder()} go install ${COMET_MODULE}`,
  );
}

/** @throws HanseError `COMET_HOME` when the folder is none of CometBFT's. */
export function requireCometHome(home: string): void {
  if (statSync(join(home, "config", "genesis.json"), { throwIfNoEntry: false })?.isFile()) return;
  throw new HanseError(
    "COMET_HOME",
    "notFound",
    `comet.home: ${home} holds no config/genesis.json; \`hanse network create --ordering cometbft\` writes such a folder, and docs/operators/cometbft.md says how to write one for a single node`,
  );
}
