/** What every command gets: where to write, which network, which node, whose key. */
import path from "node:path";
import { HanseError, readyKeyBackends } from "@hanse/protocol";
import { type AccountKey, loadAccountKey, loadNamedAccount } from "./network-folder/account-key.ts";
import {
  DEFAULT_NETWORK_FOLDER,
  isNetworkFolder,
  loadNetworkFolder,
  type NetworkFolder,
  selectNodes,
} from "./network-folder/network-folder.ts";
import type { Console } from "./output/console.ts";
import { usageError } from "./output/report-error.ts";

/** Options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly dir?: string;
  /** A node of the network folder, or the URL of any node. */
  readonly node?: string;
  readonly as?: string;
  readonly key?: string;
  readonly timeout?: number;
}

export interface CommandContext {
  readonly console: Console;
  readonly options: GlobalOptions;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

export const DEFAULT_TIMEOUT_MS = 30_000;

/** Folder of the network: `--dir`, else HANSE_DIR, else `.hanse/network` here or above. */
export function networkDirOf(context: CommandContext): string {
  const named = context.options.dir ?? context.environment.HANSE_DIR;
  if (named !== undefined) return named;
  for (let folder = process.cwd(); ; folder = path.dirname(folder)) {
    if (isNetworkFolder(folder)) return folder;
    const inside = path.join(folder, DEFAULT_NETWORK_FOLDER);
    if (isNetworkFolder(inside)) return inside;
    if (folder === path.dirname(folder)) return DEFAULT_NETWORK_FOLDER;
  }
}

export function openNetwork(context: CommandContext): NetworkFolder {
  return loadNetworkFolder(networkDirOf(context));
}

/** URL of the node to talk to: `--node`, else HANSE_URL, else the first of the network folder. */
export function nodeUrlOf(context: CommandContext): string {
  const wanted = context.options.node ?? context.environment.HANSE_URL;
  if (wanted !== undefined && /^https?:\/\//u.test(wanted)) {
    if (!URL.canParse(wanted))
      usageError(`--node ${wanted}: not a URL such as http://127.0.0.1:7400`);
    return wanted.replace(/\/+$/u, "");
  }
  return selectNodes(openNetwork(context), wanted)[0]!.apiUrl;
}

/**
 * The account that signs: `--key FILE`, else `--as NAME` (or HANSE_AS) from the network folder.
 * @throws HanseError naming the options when neither is given.
 */
export async function signingAccount(context: CommandContext): Promise<AccountKey> {
  await readyKeyBackends();
  const { as, key } = context.options;
  if (as !== undefined && key !== undefined) usageError("--as and --key: give one of them");
  if (key !== undefined) return loadAccountKey(key);
  const name = as ?? context.environment.HANSE_AS;
  const network = isNetworkFolder(networkDirOf(context)) ? openNetwork(context) : undefined;
  if (name !== undefined) {
    if (network === undefined) {
      usageError(
        `--as ${name}: there is no network folder here to take the key from; use --key FILE`,
      );
    }
    return loadNamedAccount(network.accountsFolder, name);
  }
  usageError("--as: say who signs, with --as ACCOUNT (see `hanse account list`) or --key FILE");
}

/** Milliseconds from `--timeout` (seconds). */
export function timeoutMsOf(context: CommandContext): number {
  return context.options.timeout === undefined
    ? DEFAULT_TIMEOUT_MS
    : Math.round(context.options.timeout * 1000);
}

/** Reads an option's number. @throws HanseError `CLI_USAGE` naming the option. */
export function parseNumber(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < min || value > max) {
    usageError(`${option} ${text}: expected a number from ${min} to ${max}`);
  }
  return value;
}

export function parseInteger(option: string, text: string, min: number, max: number): number {
  const value = parseNumber(option, text, min, max);
  if (!Number.isInteger(value)) usageError(`${option} ${text}: expected a whole number`);
  return value;
}

/** @throws HanseError `CLI_INTERRUPTED` once Ctrl-C was pressed. */
export function throwIfInterrupted(context: CommandContext): void {
  if (context.signal.aborted) {
    throw new HanseError("CLI_INTERRUPTED", "unavailable", "interrupted");
  }
}

/** Whether the caller said who signs; reads may go without. */
export function hasIdentity(context: CommandContext): boolean {
  const { as, key } = context.options;
  return as !== undefined || key !== undefined || context.environment.HANSE_AS !== undefined;
}

/** Numbers by name, each given as `name=value`. */
export function parseNumbers(what: string, list: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    list.map((item) => {
      const [name, value, ...rest] = item.split("=");
      if (name === undefined || name === "" || value === undefined || rest.length > 0) {
        usageError(`${what} "${item}": expected name=value`);
      }
      return [name, parseInteger(`${what} ${name}`, value, 0, Number.MAX_SAFE_INTEGER)];
    }),
  );
}
