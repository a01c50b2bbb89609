/** What the ledger says to those who probe: the running epoch, and who takes part in it. */
import { decodePosrState, type Height, type ProbingFacts, readPosrParams } from "@hanse/ordering";
import type { StateView } from "@hanse/state";
import { readRules } from "../governance/rules.ts";
import { GOVERNANCE_KV, POLICY_KEY } from "../governance/tables.ts";
import { newestSet } from "../governance/validator-sets.ts";
import { listCandidates } from "./candidates.ts";

/** Undefined unless the policy is `posr` with `probing` 1. @param height Newest of the view. */
export function readProbing(state: StateView, height: Height): ProbingFacts | undefined {
  const { policy, policyParams, constitution } = readRules(state);
  if (policy !== "posr" || policyParams.probing !== 1) return undefined;
  const record = state.getKv(GOVERNANCE_KV, POLICY_KEY)?.value;
  if (record === undefined) return undefined;
  const { epoch, firstHeight } = decodePosrState(record);
  const { epochBlocks, probers } = readPosrParams(policyParams);
  return {
    epoch,
    firstHeight,
    epochBlocks,
    probers,
    accounts() {
      const { set } = newestSet(state);
      const { readinessBlocks } = constitution;
      const accounts = [...set.members, ...listCandidates(state, set, { height, readinessBlocks })];
      return accounts.map(({ id, org, key }) => ({ id, org, key }));
    },
  };
}
