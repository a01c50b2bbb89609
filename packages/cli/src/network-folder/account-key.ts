/** Key files of people: the protocol's key file, readable by its owner alone. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import {
  accountIdOf,
  createKeyPair,
  decodeKeyFile,
  encodeKeyFile,
  HanseError,
  type KeyAlgorithm,
  type KeyPair,
  toHex,
} from "@hanse/protocol";

/** Rights of a file that holds a secret: the owner's alone. */
export const SECRET_FILE_MODE = 0o600;

export interface AccountKey {
  readonly name: string;
  readonly keyPair: KeyPair;
}

export function createAccountKey(name: string, algorithm: KeyAlgorithm = "ed25519"): AccountKey {
  return { name, keyPair: createKeyPair(algorithm) };
}

/** Writes a secret to a new file with rights 0600. @throws HanseError `CLI_KEY_EXISTS` */
export function saveSecretFile(file: string, content: string): void {
  if (existsSync(file)) {
    throw new HanseError(
      "CLI_KEY_EXISTS",
      "conflict",
      `${file}: a key is there already and is never overwritten; choose another name`,
    );
  }
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, content, { mode: SECRET_FILE_MODE, flag: "wx" });
  chmodSync(file, SECRET_FILE_MODE); // Whatever the umask made of the mode above.
}

export function saveAccountKey(file: string, account: AccountKey): void {
  saveSecretFile(file, encodeKeyFile(account.keyPair));
}

/**
 * The account of a key file, named for the file.
 * @throws HanseError `CLI_NO_KEY`, `CLI_KEY_CORRUPT`, `CLI_KEY_RIGHTS` naming file and remedy.
 */
export function loadAccountKey(file: string): AccountKey {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new HanseError(
      "CLI_NO_KEY",
      "notFound",
      `${file}: no key file here; create one with \`hanse key create ${file}\``,
      { cause },
    );
  }
  if (process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0) {
    throw new HanseError(
      "CLI_KEY_RIGHTS",
      "denied",
      `${file}: others may read this secret key; run \`chmod 600 ${file}\` and consider it known to them`,
    );
  }
  try {
    return { name: path.basename(file, ".json"), keyPair: decodeKeyFile(text) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HanseError(
      "CLI_KEY_CORRUPT",
      "corrupt",
      `${file}: ${reason}; restore the file from a copy, a key cannot be computed again`,
      { cause },
    );
  }
}

export function accountIdHex(account: AccountKey): string {
  return toHex(accountIdOf(account.keyPair.publicKey));
}

/** Names of the accounts whose keys are in a folder, in order. */
export function listAccountNames(accountsFolder: string): string[] {
  if (!existsSync(accountsFolder)) return [];
  return readdirSync(accountsFolder)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

/** @throws HanseError `CLI_USAGE_ACCOUNT` listing the accounts that are there. */
export function loadNamedAccount(accountsFolder: string, name: string): AccountKey {
  const file = path.join(accountsFolder, `${name}.json`);
  if (!existsSync(file)) {
    const known = listAccountNames(accountsFolder);
    throw new HanseError(
      "CLI_USAGE_ACCOUNT",
      "notFound",
      `--as ${name}: no such account here; ${known.length === 0 ? "there are none yet" : `known: ${known.join(", ")}`}`,
    );
  }
  return loadAccountKey(file);
}
