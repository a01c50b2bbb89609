/** Changes of a ledger's registry of people and nodes. */
import { type Hash, type KeyPair, type PublicKey, publicKeyToCbor } from "@hanse/protocol";
import type { LedgerClient, TransactionView } from "./ledger-client.ts";

export interface AccountRegistration {
  readonly name: string;
  /** The administrator's own organization when left out. */
  readonly org?: string;
  readonly roles: readonly string[];
  readonly key: PublicKey;
}

/** Registers an account; `admin` must administer its organization. */
export async function registerAccount(
  ledger: LedgerClient,
  admin: KeyPair,
  account: AccountRegistration,
): Promise<TransactionView> {
  return ledger.execute(admin, {
    module: "registry",
    action: "account.register",
    args: {
      name: account.name,
      key: publicKeyToCbor(account.key),
      roles: [...account.roles],
      ...(account.org === undefined ? {} : { org: account.org }),
    },
  });
}

/** Gives a node another TLS key; `admin` must administer the node's organization. */
export async function setNodeTls(
  ledger: LedgerClient,
  admin: KeyPair,
  node: string,
  tlsFingerprint: Hash,
): Promise<TransactionView> {
  const args = { node, tlsFingerprint };
  return ledger.execute(admin, { module: "registry", action: "node.setTls", args });
}
