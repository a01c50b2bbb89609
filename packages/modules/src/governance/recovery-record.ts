/** A loss of quorum as governance sees it: who may sign the way out, and what holds after it. */
import { ADMIN_ROLE, listAccounts } from "@hanse/identity";
import {
  createPolicy,
  type Height,
  type RecoveryAuthority,
  type RecoveryDocument,
  tryDecodeRecovery,
  type ValidatorPolicy,
} from "@hanse/ordering";
import type { Bytes, Hash, ValidatorSet } from "@hanse/protocol";
import type { StateOverlay, StateView } from "@hanse/state";
import { currentEra, putRules, readRules } from "./rules.ts";
import { newestSet, putValidatorSet } from "./validator-sets.ts";

/** Administrators of one organization that are read; more than enough for one signature. */
const ADMINS_MAX = 1_000;

/**
 * Who may sign a recovery document: administrators of the organizations that have a validator.
 * `below`: the set and the epoch that a recovery of the past ended.
 */
export function recoveryAuthority(
  view: StateView,
  ledgerId: Hash,
  below: { readonly set: ValidatorSet; readonly engineEpoch: number } = {
    set: newestSet(view).set,
    engineEpoch: readRules(view).engineEpoch,
  },
): RecoveryAuthority {
  const { constitution } = readRules(view);
  const { engineEpoch } = below;
  const orgs = [...new Set(below.set.members.map(({ org }) => org))].sort();
  return {
    ledgerId,
    engineEpoch,
    organizations: orgs.map((org) => ({
      id: org,
      keys: listAccounts(view, { org, limit: ADMINS_MAX })
        .filter(({ roles, status }) => status === "active" && roles.includes(ADMIN_ROLE))
        .map(({ key }) => key),
    })),
    above: constitution.emergencyAbove,
  };
}

/** The document that a block's evidence begins with, if this block begins its epoch. */
export function recoveryOf(
  evidence: readonly Bytes[],
  height: Height,
  view: StateView,
): RecoveryDocument | undefined {
  const [first] = evidence;
  const document = first === undefined ? undefined : tryDecodeRecovery(first);
  if (document === undefined || document.height !== height - 1) return undefined;
  return document.engineEpoch === readRules(view).engineEpoch + 1 ? document : undefined;
}

/** The document's set and way of ordering hold from this block on; what was decided before is void. */
export function adoptRecovery(
  overlay: StateOverlay,
  document: RecoveryDocument,
  height: Height,
  startPolicy: (policy: ValidatorPolicy, set: ValidatorSet) => void,
): void {
  const { set, engineEpoch, policy, policyParams } = document;
  const { change: _, ...rules } = readRules(overlay);
  const newest = newestSet(overlay);
  if (newest.from > height) putValidatorSet(overlay, newest.from, set);
  putValidatorSet(overlay, height, set);
  putRules(overlay, {
    ...rules,
    engine: "builtin",
    engineEpoch,
    since: height,
    policy,
    policyParams,
    before: currentEra(rules),
  });
  startPolicy(createPolicy(policy, policyParams), set);
}
