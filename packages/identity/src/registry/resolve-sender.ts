/** From a key to the account that stands behind it. */
import type { DecodedTransaction, Sender } from "@hanse/ledger";
import { accountIdOf, equalBytes, HanseError, type Hash, type PublicKey } from "@hanse/protocol";
import type { RowRef, StateView } from "@hanse/state";
import {
  ACCOUNT_KEYS,
  ACCOUNTS,
  type Account,
  accountFromRow,
  findAccount,
  findOrganization,
} from "./tables.ts";

const senders = new WeakMap<Account, Sender>();

function senderOf(account: Account): Sender {
  let sender = senders.get(account);
  if (sender === undefined) {
    const { id, keyId, name, org, roles } = account;
    sender = { accountId: id, keyId, name, org, roles };
    senders.set(account, sender);
  }
  return sender;
}

/** The account that signs with this key, whatever its status; undefined = nobody's key. */
export function findSigner(view: StateView, key: PublicKey, keyHash: Hash): Account | undefined {
  const row = view.getRow(ACCOUNTS, keyHash);
  if (row !== undefined) {
    const account = accountFromRow(row);
    const own = account.key.algorithm === key.algorithm && equalBytes(account.key.bytes, key.bytes);
    return own ? account : undefined;
  }
  const replaced = view.getRow(ACCOUNT_KEYS, keyHash);
  if (replaced === undefined) return undefined;
  const account = findAccount(view, replaced.values[1] as Hash);
  if (account === undefined) return undefined;
  return equalBytes(accountIdOf(account.key), keyHash) ? account : undefined;
}

/**
 * Who stands behind a transaction. `keyHash` = `accountIdOf(key)` where the caller has it.
 * @throws HanseError `IDENTITY_UNKNOWN_SIGNER` or `IDENTITY_SUSPENDED`, both of kind `denied`.
 */
export function resolveSender(
  view: StateView,
  key: PublicKey,
  keyHash: Hash = accountIdOf(key),
): Sender {
  const account = findSigner(view, key, keyHash);
  if (account === undefined) {
    throw new HanseError(
      "IDENTITY_UNKNOWN_SIGNER",
      "denied",
      "sender: no account of this ledger signs with this key: ask an administrator of your organization " +
        "to register it, or use the key that replaced it",
    );
  }
  if (account.status !== "active") {
    throw new HanseError(
      "IDENTITY_SUSPENDED",
      "denied",
      `sender: account ${account.name} of ${account.org} is suspended: ask an administrator of ${account.org}`,
      { details: { org: account.org, subject: "account" } },
    );
  }
  if (findOrganization(view, account.org)?.status !== "active") {
    throw new HanseError(
      "IDENTITY_SUSPENDED",
      "denied",
      `sender: organization ${account.org} is suspended: ask an administrator of the network`,
      { details: { org: account.org, subject: "organization" } },
    );
  }
  return senderOf(account);
}

/** Rows that `resolveSender` reads for a transaction, as far as they can be known beforehand. */
export function senderRows(transaction: DecodedTransaction): readonly RowRef[] {
  return [{ table: ACCOUNTS, key: transaction.sender }];
}
