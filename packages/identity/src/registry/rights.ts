/** Who may change the registry. */
import type { Sender } from "@hanse/ledger";
import { HanseError } from "@hanse/protocol";

/** Registers and suspends accounts of its own organization. */
export const ADMIN_ROLE = "admin";
/** Adds, suspends and resumes organizations. */
export const NETWORK_ADMIN_ROLE = "network-admin";

function denied(message: string): never {
  throw new HanseError("IDENTITY_DENIED", "denied", message);
}

/** @throws HanseError `IDENTITY_DENIED` */
export function requireAdminOf(sender: Pick<Sender, "org" | "roles">, org: string): void {
  if (!sender.roles.includes(ADMIN_ROLE)) {
    denied(`only an account with the role "${ADMIN_ROLE}" of ${org} may do this`);
  }
  if (sender.org !== org) {
    denied(
      `an administrator of ${sender.org} has no rights over accounts of ${org}: ask one of ${org}`,
    );
  }
}

/** @throws HanseError `IDENTITY_DENIED` */
export function requireNetworkAdmin(sender: Pick<Sender, "roles">): void {
  if (!sender.roles.includes(NETWORK_ADMIN_ROLE)) {
    denied(`only an account with the role "${NETWORK_ADMIN_ROLE}" may do this`);
  }
}

/**
 * The role over the whole network is given and taken by those who have it.
 * @throws HanseError `IDENTITY_DENIED`
 */
export function requireMayGive(
  sender: Pick<Sender, "roles">,
  before: readonly string[],
  after: readonly string[],
): void {
  if (before.includes(NETWORK_ADMIN_ROLE) !== after.includes(NETWORK_ADMIN_ROLE)) {
    requireNetworkAdmin(sender);
  }
}
