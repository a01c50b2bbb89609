/** What a decided proposal does: everything that could not stand is refused before it is decided. */
import { NODES, replaceNodeKey, requireNode } from "@hanse/identity";
import type { EngineKind, Height, ValidatorUpdate } from "@hanse/ordering";
import { HanseError, type PublicKey, type ValidatorSet } from "@hanse/protocol";
import type { StateOverlay, StateView } from "@hanse/state";
import { putQueue, type QueuedChange, readQueue, rehearseQueue } from "./change-queue.ts";
import { mergeConstitution, mergeLimits, type ProposalContent } from "./proposal-content.ts";
import { requireReady } from "./readiness.ts";
import { pendingChange, putRules, type Rules, readRules } from "./rules.ts";
import { newestSet } from "./validator-sets.ts";

function impossible(message: string): never {
  throw new HanseError("GOVERNANCE_IMPOSSIBLE", "rejected", `content.${message}`);
}

function requireMember(set: ValidatorSet, id: string) {
  const member = set.members.find((other) => other.id === id);
  return member ?? impossible(`id: ${id} is no validator`);
}

/** Ids that the proposal takes out of the set. */
export function removedBy(content: ProposalContent): readonly string[] {
  return content.kind === "member.remove" || content.kind === "emergency.remove" ? content.ids : [];
}

function updatesOf(
  content: ProposalContent,
  set: ValidatorSet,
  view: StateView,
): readonly ValidatorUpdate[] {
  switch (content.kind) {
    case "member.add": {
      const { id, vote, propose } = content.member;
      if (set.members.some((member) => member.id === id)) {
        impossible(`id: ${id} is a validator already: propose member.weights`);
      }
      const { org, key } = requireNode(view, id);
      return [{ id, org, key, vote, propose }];
    }
    case "member.remove":
    case "emergency.remove":
      return content.ids.map((id) => ({ ...requireMember(set, id), vote: 0, propose: 0 }));
    case "member.weights":
      return content.members.map((weights) => ({ ...requireMember(set, weights.id), ...weights }));
    case "member.keyRotate":
      return [{ ...requireMember(set, content.id), key: content.key }];
    default:
      return [];
  }
}

/** The set as it will be when everything on its way is in force. */
function settledSet(view: StateView): ValidatorSet {
  return rehearseQueue(readQueue(view), newestSet(view).set);
}

function requireAllReady(
  view: StateView,
  members: readonly { readonly id: string; readonly key: PublicKey }[],
  height: Height,
  rules: Rules,
  engine?: EngineKind,
): void {
  const { readinessBlocks } = rules.constitution;
  const at = { height, readinessBlocks, engine };
  for (const { id, key } of members) requireReady(view, id, key, at);
}

function requireFreshKey(view: StateView, key: PublicKey): void {
  const where = { op: "eq", column: "key", value: key.bytes } as const;
  if (view.find({ table: NODES, where, limit: 1 }).length > 0) {
    impossible("key: a node has this key already: make a new one");
  }
}

/**
 * A running ledger goes from the built-in engine to itself, by other rules, or to etcd. Whoever runs
 * etcd is trusted to order, so that its quorum rule is that of members who only fail.
 */
function requireReachable(
  content: Extract<ProposalContent, { kind: "policy.change" | "engine.switch" }>,
  { engine }: Rules,
): void {
  const wanted = content.kind === "engine.switch" ? content.engine : engine;
  if (engine !== "builtin" || wanted === "cometbft") {
    impossible(
      `engine: a ledger that ${engine} orders is not handed over to ${wanted} while it runs: begin a new ledger`,
    );
  }
  if (wanted === "etcd" && content.kind === "engine.switch" && content.quorum !== "crash") {
    impossible("quorum: expected crash: whoever runs etcd is trusted to order");
  }
}

/**
 * Whether a proposal could be carried out as things stand now; readiness is asked for when it is
 * decided. @throws HanseError naming what is in the way.
 */
export function requirePossible(content: ProposalContent, view: StateView): void {
  const rules = readRules(view);
  switch (content.kind) {
    case "params.change":
      mergeLimits(rules.params, content.params);
      return;
    case "constitution.change":
      mergeConstitution(rules.constitution, content.fields);
      return;
    case "policy.change":
    case "engine.switch":
      requireReachable(content, rules);
      return;
    default: {
      if (content.kind === "member.keyRotate") requireFreshKey(view, content.key);
      const set = settledSet(view);
      const updates = updatesOf(content, set, view);
      rehearseQueue(
        updates.map((update) => ({ update, at: 0, proposal: 0 })),
        set,
      );
    }
  }
}

function changeOrdering(
  content: Extract<ProposalContent, { kind: "policy.change" | "engine.switch" }>,
  overlay: StateOverlay,
  height: Height,
  rules: Rules,
): void {
  if (pendingChange(rules) !== undefined) {
    impossible(
      `at: another change of ordering begins after block ${rules.change!.at}: wait for it`,
    );
  }
  if (readQueue(overlay).length > 0) {
    impossible("at: changes of validators are on their way: approve again when they are in force");
  }
  requireReachable(content, rules);
  const { set } = newestSet(overlay);
  const quorum = content.kind === "engine.switch" ? content.quorum : set.quorum;
  const engine = content.kind === "engine.switch" ? content.engine : rules.engine;
  if (content.kind === "engine.switch") {
    const other = engine === rules.engine ? undefined : engine;
    requireAllReady(overlay, set.members, height, rules, other);
  }
  putRules(overlay, {
    ...rules,
    change: {
      at: Math.max(content.at ?? 0, height + 2),
      engineEpoch: rules.engineEpoch + 1,
      engine,
      policy: content.policy,
      quorum,
      policyParams: content.params,
      decidedAt: height,
    },
  });
}

/** Members that governance itself denies or gives back the right to propose. */
function rebar(overlay: StateOverlay, updates: readonly ValidatorUpdate[]): void {
  const rules = readRules(overlay);
  const barred = new Set(rules.barred);
  for (const { id, vote, propose } of updates) {
    if (vote > 0 && propose === 0) barred.add(id);
    else barred.delete(id);
  }
  const sorted = [...barred].sort();
  if (sorted.join() !== rules.barred.join()) putRules(overlay, { ...rules, barred: sorted });
}

/**
 * Carries out a decided proposal; changes of the set go on by the rule of each block.
 * @throws HanseError naming what is in the way; the decision is then still open.
 */
export function carryOut(
  content: ProposalContent,
  proposal: number,
  overlay: StateOverlay,
  height: Height,
): void {
  const rules = readRules(overlay);
  switch (content.kind) {
    case "params.change":
      putRules(overlay, { ...rules, params: mergeLimits(rules.params, content.params) });
      return;
    case "constitution.change": {
      const constitution = mergeConstitution(rules.constitution, content.fields);
      putRules(overlay, { ...rules, constitution });
      return;
    }
    case "policy.change":
    case "engine.switch":
      changeOrdering(content, overlay, height, rules);
      return;
  }
  const queue = readQueue(overlay);
  const updates = updatesOf(content, settledSet(overlay), overlay);
  if (content.kind === "member.add" || content.kind === "member.keyRotate") {
    requireAllReady(overlay, updates, height, rules);
  }
  const at = "at" in content ? (content.at ?? 0) : 0;
  const added = updates.map((update): QueuedChange => ({ update, at, proposal }));
  // An emergency does not wait behind what was decided before; what it removes is not changed again.
  const next =
    content.kind === "emergency.remove"
      ? [...added, ...queue.filter(({ update }) => !content.ids.includes(update.id))]
      : [...queue, ...added];
  rehearseQueue(next, newestSet(overlay).set);
  putQueue(overlay, next);
  if (content.kind === "member.keyRotate") replaceNodeKey(overlay, content.id, content.key);
  else rebar(overlay, updates);
}
