/**
 * The rule that runs after every block of a governed ledger: evidence and its consequence, approved
 * changes of validators, the validator policy, a change of ordering.
 */
import { type BlockFacts, type BlockRule, NO_RULE_RESULT, type RuleResult } from "@hanse/ledger";
import {
  applyUpdates,
  createPolicy,
  type EngineSwitch,
  type Height,
  type PolicyFacts,
  type PolicyKind,
  type PolicyParams,
  tryDecodeRecovery,
  type ValidatorPolicy,
  type ValidatorUpdate,
} from "@hanse/ordering";
import {
  bitmapToIndices,
  createValidatorSet,
  decodeCertificate,
  equalBytes,
  type GenesisDocument,
  genesisValidatorSet,
  HanseError,
  hashLedgerParams,
  type ValidatorSet,
} from "@hanse/protocol";
import type { StateOverlay, StateView } from "@hanse/state";
import { listCandidates } from "../presence/candidates.ts";
import { EMPTY_INBOX, type PresenceInbox, takeInbox } from "../presence/inbox.ts";
import { putQueue, readQueue, takeFromQueue } from "./change-queue.ts";
import { offenceFault, recordEvidence } from "./evidence-record.ts";
import { noteOnProposal } from "./proposals.ts";
import { adoptRecovery, recoveryOf } from "./recovery-record.ts";
import {
  currentEra,
  genesisRules,
  pendingChange,
  putRules,
  type Rules,
  readRules,
  rulesChangedAt,
} from "./rules.ts";
import { createGovernanceTables, GOVERNANCE_KV, POLICY_KEY } from "./tables.ts";
import { newestSet, putValidatorSet, validatorSetAt } from "./validator-sets.ts";

/** Writes what governance knows at height 0. */
export function seedGovernance(overlay: StateOverlay, genesis: GenesisDocument): void {
  createGovernanceTables(overlay);
  const rules = genesisRules(genesis);
  const set = genesisValidatorSet(genesis);
  putRules(overlay, rules);
  putValidatorSet(overlay, 1, set);
  startPolicy(overlay, createPolicy(rules.policy, rules.policyParams), 1, set);
}

function startPolicy(
  overlay: StateOverlay,
  policy: ValidatorPolicy,
  height: Height,
  set: ValidatorSet,
): void {
  const state = policy.initialState?.({ height, set });
  if (state !== undefined) overlay.putKv(GOVERNANCE_KV, POLICY_KEY, state);
  else if (overlay.getKv(GOVERNANCE_KV, POLICY_KEY) !== undefined) {
    overlay.removeKv(GOVERNANCE_KV, POLICY_KEY);
  }
}

/** What a policy is told of a block, besides the state. */
type PolicyBlock = Pick<BlockFacts, "header" | "lastCert">;

/** Whose finalize votes this block puts on the ledger; other engines' proofs say nothing of them. */
function votesOf({ header, lastCert }: PolicyBlock, state: StateView): PolicyFacts["votes"] {
  const height = header.height - 1;
  if (height < 1 || lastCert.length === 0) return [];
  let signers: readonly number[];
  try {
    signers = bitmapToIndices(decodeCertificate(lastCert).signers);
  } catch (error) {
    if (error instanceof HanseError && error.kind === "malformed") return [];
    throw error;
  }
  const { members } = validatorSetAt(state, height).set;
  const present = signers.flatMap((index) => members[index]?.id ?? []);
  return [{ height, eligible: members.map(({ id }) => id), present }];
}

/** Updates of several sources; a member that governance changes in this block is left alone. */
function addPolicyUpdates(
  set: ValidatorSet,
  decided: readonly ValidatorUpdate[],
  wanted: readonly ValidatorUpdate[],
): readonly ValidatorUpdate[] {
  const updates = [...decided];
  for (const update of wanted) {
    if (updates.some(({ id }) => id === update.id)) continue;
    try {
      applyUpdates(set, [...updates, update]);
      updates.push(update);
    } catch (error) {
      // What a policy wants comes again with the next block, where there is room for more.
      if (!(error instanceof HanseError && error.kind === "rejected")) throw error;
    }
  }
  return updates;
}

/** The newest policies by their parameters: a rota is not made anew for each block. */
function createPolicyCache(): (kind: PolicyKind, params: PolicyParams) => ValidatorPolicy {
  let last: { readonly key: string; readonly policy: ValidatorPolicy } | undefined;
  return (kind, params) => {
    const key = JSON.stringify([kind, params]);
    if (last?.key !== key) last = { key, policy: createPolicy(kind, params) };
    return last.policy;
  };
}

/** Approved changes that this block puts into force, and what is said of those that cannot be. */
function drainQueue(state: StateOverlay, set: ValidatorSet, height: Height) {
  const queue = readQueue(state);
  if (queue.length === 0) return { updates: [], waiting: false, drained: false };
  const step = takeFromQueue(queue, set, height);
  for (const { change, reason } of step.impossible) {
    if (change.proposal === 0) continue;
    noteOnProposal(state, change.proposal, `${change.update.id} stayed as it was: ${reason}`);
  }
  const drained = step.rest.length < queue.length;
  if (drained) putQueue(state, step.rest);
  return { updates: step.updates, waiting: step.rest.some(({ at }) => at <= height), drained };
}

/** The engine's order at the block that decides it, and the new way of things at its first block. */
function changeOrdering(
  state: StateOverlay,
  rules: Rules,
  height: Height,
): { readonly engineSwitch?: EngineSwitch } {
  const change = pendingChange(rules);
  if (change === undefined) return {};
  const { at, engineEpoch, policy, policyParams } = change;
  const engine = change.engine as Rules["engine"];
  if (height === at) {
    const { set } = newestSet(state);
    const since = at + 1;
    const now = { engine, engineEpoch, since, policy: policy as PolicyKind, policyParams };
    putRules(state, { ...rules, ...now, before: currentEra(rules) });
    startPolicy(state, createPolicy(policy as PolicyKind, policyParams), at + 1, set);
    return {};
  }
  if (height !== change.decidedAt) return {};
  const { members, quorum } = newestSet(state).set;
  const set = createValidatorSet(members, change.quorum);
  if (quorum !== change.quorum) putValidatorSet(state, at + 1, set);
  const era = { kind: engine, policy: policy as PolicyKind, policyParams };
  return { engineSwitch: { at, engineEpoch, ...era, set } };
}

export function createGovernanceRule(): BlockRule {
  const policyOf = createPolicyCache();

  function factsOf(
    block: PolicyBlock,
    state: StateView,
    rules: Rules,
    latest: ValidatorSet,
    inbox: PresenceInbox,
  ): PolicyFacts {
    const { height } = block.header;
    const { readinessBlocks } = rules.constitution;
    return {
      header: block.header,
      set: validatorSetAt(state, height).set,
      latest,
      votes: votesOf(block, state),
      barred: rules.barred,
      ...inbox,
      ...(rules.policyParams.probing === 1
        ? { candidates: listCandidates(state, latest, { height, readinessBlocks }) }
        : {}),
    };
  }

  /**
   * The policy's step for this block, and before it the one that an empty block below left to it.
   * An empty block that changes nothing else leaves its own: the state root stays as it is, so that
   * this block proves it, and an idle ledger comes to rest. Only one step is ever left: what it
   * needs is in the block below, which every node has, also one that began from a snapshot.
   */
  function runPolicy(
    facts: BlockFacts,
    state: StateOverlay,
    rules: Rules,
    base: ValidatorSet,
    decided: readonly ValidatorUpdate[],
    inbox: PresenceInbox,
    quiet: boolean,
  ): { readonly updates: readonly ValidatorUpdate[]; readonly recorded: boolean } {
    const policy = policyOf(rules.policy, rules.policyParams);
    const entry = state.getKv(GOVERNANCE_KV, POLICY_KEY);
    if (policy.afterBlock === undefined || entry === undefined) {
      return { updates: decided, recorded: false };
    }
    const { height } = facts.header;
    // Its version says which step was the last: each writes it, but for an empty block's that finds
    // it as it was, and such a block is never one that leaves its step to the next.
    const steppedAt = entry.version.height;
    if (quiet && steppedAt === height - 1) return { updates: decided, recorded: false };
    let record = entry.value;
    if (facts.parent !== undefined && steppedAt === height - 2) {
      // What it wants comes again with the step of this block.
      const left = factsOf(facts.parent, state, rules, base, EMPTY_INBOX);
      record = policy.afterBlock(record, left).state;
    }
    const latest = applyUpdates(base, decided);
    const outcome = policy.afterBlock(record, factsOf(facts, state, rules, latest, inbox));
    const recorded = !quiet || !equalBytes(outcome.state, entry.value);
    if (recorded) state.putKv(GOVERNANCE_KV, POLICY_KEY, outcome.state);
    return { updates: addPolicyUpdates(base, decided, outcome.updates), recorded };
  }

  return {
    name: "governance",
    afterBlock(facts, state): RuleResult {
      const { height } = facts.header;
      const recovery = recoveryOf(facts.evidence, height, state);
      if (recovery !== undefined) {
        adoptRecovery(state, recovery, height, (policy, set) =>
          startPolicy(state, policy, height, set),
        );
      }
      const offences = recovery === undefined ? facts.evidence : facts.evidence.slice(1);
      const judged = recordEvidence(state, offences, height) || recovery !== undefined;
      const rules = readRules(state);
      const inbox = takeInbox(state);
      if (pendingChange(rules) !== undefined) {
        // Who validates stands still from the decision to the change, so that both sides know the set.
        const engineSwitch = changeOrdering(state, rules, height);
        const rulesChanged = rulesChangedAt(state) === height;
        return { ...NO_RULE_RESULT, ...engineSwitch, rulesChanged, changed: judged };
      }
      const base = newestSet(state).set;
      const { updates: decided, waiting, drained } = drainQueue(state, base, height);
      const reasons = judged || drained || waiting;
      const quiet = facts.header.txCount === 0 && !reasons;
      const policy = runPolicy(facts, state, rules, base, decided, inbox, quiet);
      const validatorUpdates = policy.updates;
      if (validatorUpdates.length > 0) {
        putValidatorSet(state, height + 2, applyUpdates(base, validatorUpdates));
      }
      return {
        validatorUpdates,
        changed: reasons || validatorUpdates.length > 0 || (quiet && policy.recorded),
        rulesChanged: rulesChangedAt(state) === height,
      };
    },
    evidenceFault(bytes, state) {
      const recovery = tryDecodeRecovery(bytes);
      if (recovery !== undefined) {
        if (recovery.engineEpoch > readRules(state).engineEpoch) return undefined;
        return `the recovery of epoch ${recovery.engineEpoch} is on the ledger`;
      }
      return offenceFault(bytes, state);
    },
    inForce(state) {
      const { params, change } = readRules(state);
      return { params, paramsHash: hashLedgerParams(params, change) };
    },
  };
}
