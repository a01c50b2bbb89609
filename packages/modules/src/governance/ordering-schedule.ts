/** What a node without an ordering log reads from the state to go on ordering. */
import type { EngineKind, Height, OrderingSchedule, PolicyKind } from "@hanse/ordering";
import type { StateView } from "@hanse/state";
import { currentEra, pendingChange, readRules } from "./rules.ts";
import { setsFrom } from "./validator-sets.ts";

/** Sets and eras from the one that covers the height on, as the state after this height has them. */
export function orderingSchedule(view: StateView, height: Height): OrderingSchedule {
  const rules = readRules(view);
  const change = pendingChange(rules);
  const eras = rules.before === undefined ? [] : [rules.before];
  eras.push(currentEra(rules));
  if (change !== undefined) {
    eras.push({
      height: change.at + 1,
      engineEpoch: change.engineEpoch,
      kind: change.engine as EngineKind,
      policy: change.policy as PolicyKind,
      policyParams: change.policyParams,
    });
  }
  const sets = setsFrom(view, height).map(({ from, set }) => ({ height: from, set }));
  return { sets, eras };
}
