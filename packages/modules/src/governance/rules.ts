/** How the ledger is run now: limits, constitution, policy and engine, as one record of the state. */
import type { EngineKind, Height, PolicyKind, PolicyParams } from "@hanse/ordering";
import {
  asArray,
  asMap,
  asText,
  asUint,
  type CborValue,
  type Constitution,
  constitutionFromCbor,
  constitutionToCbor,
  DEFAULT_CONSTITUTION,
  decodeCbor,
  encodeCbor,
  type GenesisDocument,
  HanseError,
  type LedgerParams,
  ledgerParamsFromCbor,
  ledgerParamsToCbor,
  type OrderingChange,
  type QuorumRule,
  utf8,
} from "@hanse/protocol";
import type { KvEntry, StateOverlay, StateView } from "@hanse/state";
import { GOVERNANCE_KV } from "./tables.ts";

const RULES_KEY = utf8("rules");

export interface Rules {
  readonly params: LedgerParams;
  readonly constitution: Constitution;
  readonly engine: EngineKind;
  readonly engineEpoch: number;
  /** First height that is ordered so. */
  readonly since: Height;
  readonly policy: PolicyKind;
  readonly policyParams: PolicyParams;
  /** Members whom a decision or proven evidence denies proposing; no policy gives it back. */
  readonly barred: readonly string[];
  /** The newest change of the way of ordering; in force above its height `at`. */
  readonly change?: OrderingChange & {
    readonly policyParams: PolicyParams;
    readonly decidedAt: Height;
  };
}

const rulesOfEntries = new WeakMap<KvEntry, Rules>();

function paramsToCbor(params: PolicyParams): CborValue {
  return new Map(Object.entries(params));
}

function paramsFromCbor(value: CborValue | undefined, field: string): PolicyParams {
  const map = asMap(value, field);
  return Object.fromEntries(
    [...map].map(([name, item]) => [name, asUint(item, `${field}.${name}`)]),
  );
}

function encodeRules(rules: Rules): Uint8Array {
  const { change } = rules;
  return encodeCbor(
    new Map<string, CborValue>([
      ["params", ledgerParamsToCbor(rules.params)],
      ["constitution", constitutionToCbor(rules.constitution)],
      [
        "ordering",
        [
          rules.engine,
          rules.engineEpoch,
          rules.since,
          rules.policy,
          paramsToCbor(rules.policyParams),
        ],
      ],
      ["barred", rules.barred],
      [
        "change",
        change === undefined
          ? null
          : [
              change.at,
              change.engineEpoch,
              change.engine,
              change.policy,
              change.quorum,
              paramsToCbor(change.policyParams),
              change.decidedAt,
            ],
      ],
    ]),
  );
}

function decodeRules(bytes: Uint8Array): Rules {
  const map = asMap(decodeCbor(bytes), "rules");
  const [engine, epoch, since, policy, policyParams] = asArray(
    map.get("ordering"),
    "rules.ordering",
    5,
  );
  const change = map.get("change");
  const rules: Rules = {
    params: ledgerParamsFromCbor(map.get("params"), "rules.params"),
    constitution: constitutionFromCbor(map.get("constitution"), "rules.constitution"),
    engine: asText(engine, "rules.engine") as EngineKind,
    engineEpoch: asUint(epoch, "rules.engineEpoch"),
    since: asUint(since, "rules.since"),
    policy: asText(policy, "rules.policy") as PolicyKind,
    policyParams: paramsFromCbor(policyParams, "rules.policyParams"),
    barred: asArray(map.get("barred"), "rules.barred").map((id) => asText(id, "rules.barred")),
  };
  if (change === null) return rules;
  const c = asArray(change, "rules.change", 7);
  return {
    ...rules,
    change: {
      at: asUint(c[0], "rules.change.at"),
      engineEpoch: asUint(c[1], "rules.change.engineEpoch"),
      engine: asText(c[2], "rules.change.engine"),
      policy: asText(c[3], "rules.change.policy"),
      quorum: asText(c[4], "rules.change.quorum") as QuorumRule,
      policyParams: paramsFromCbor(c[5], "rules.change.policyParams"),
      decidedAt: asUint(c[6], "rules.change.decidedAt"),
    },
  };
}

function rulesEntry(view: StateView): KvEntry {
  const entry = view.getKv(GOVERNANCE_KV, RULES_KEY);
  if (entry !== undefined) return entry;
  throw new HanseError(
    "GOVERNANCE_NOT_SEEDED",
    "corrupt",
    "this ledger's state holds no rules: it was made by a version without governance",
  );
}

export function readRules(view: StateView): Rules {
  const entry = rulesEntry(view);
  let rules = rulesOfEntries.get(entry);
  if (rules === undefined) {
    rules = decodeRules(entry.value);
    rulesOfEntries.set(entry, rules);
  }
  return rules;
}

/** Height of the block that changed them last. */
export function rulesChangedAt(view: StateView): number {
  return rulesEntry(view).version.height;
}

export function putRules(overlay: StateOverlay, rules: Rules): void {
  overlay.putKv(GOVERNANCE_KV, RULES_KEY, encodeRules(rules));
}

/** A change of ordering was decided and the block at which it begins is still to come. */
export function pendingChange(rules: Rules): Rules["change"] {
  const { change, engineEpoch } = rules;
  return change !== undefined && change.engineEpoch > engineEpoch ? change : undefined;
}

export function genesisRules(genesis: GenesisDocument): Rules {
  return {
    params: genesis.params,
    constitution: genesis.governance ?? DEFAULT_CONSTITUTION,
    engine: genesis.ordering,
    engineEpoch: 0,
    since: 1,
    policy: genesis.policy,
    policyParams: genesis.policyParams ?? {},
    barred: [],
  };
}
