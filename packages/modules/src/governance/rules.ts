/** How the ledger is run now: limits, constitution, policy and engine, as one record of the state. */
import type { EngineKind, Height, OrderingEra, PolicyKind, PolicyParams } from "@hanse/ordering";
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
  /** How it was ordered below `since`. */
  readonly before?: OrderingEra;
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

/** How the ledger is ordered now. */
export function currentEra(rules: Rules): OrderingEra {
  const { since, engineEpoch, engine, policy, policyParams } = rules;
  return { height: since, engineEpoch, kind: engine, policy, policyParams };
}

function eraToCbor({ height, engineEpoch, kind, policy, policyParams }: OrderingEra): CborValue {
  return [kind, engineEpoch, height, policy, paramsToCbor(policyParams ?? {})];
}

function eraFromCbor(value: CborValue | undefined, field: string): OrderingEra {
  const [kind, epoch, height, policy, params] = asArray(value, field, 5);
  return {
    height: asUint(height, `${field}.height`),
    engineEpoch: asUint(epoch, `${field}.engineEpoch`),
    kind: asText(kind, `${field}.kind`) as EngineKind,
    policy: asText(policy, `${field}.policy`) as PolicyKind,
    policyParams: paramsFromCbor(params, `${field}.policyParams`),
  };
}

function encodeRules(rules: Rules): Uint8Array {
  const { change } = rules;
  return encodeCbor(
    new Map<string, CborValue>([
      ["params", ledgerParamsToCbor(rules.params)],
      ["constitution", constitutionToCbor(rules.constitution)],
      ["ordering", eraToCbor(currentEra(rules))],
      ["barred", rules.barred],
      ["before", rules.before === undefined ? null : eraToCbor(rules.before)],
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
  const era = eraFromCbor(map.get("ordering"), "rules.ordering");
  const before = map.get("before");
  const change = map.get("change");
  const rules: Rules = {
    params: ledgerParamsFromCbor(map.get("params"), "rules.params"),
    constitution: constitutionFromCbor(map.get("constitution"), "rules.constitution"),
    engine: era.kind,
    engineEpoch: era.engineEpoch,
    since: era.height,
    policy: era.policy,
    policyParams: era.policyParams ?? {},
    ...(before === null ? {} : { before: eraFromCbor(before, "rules.before") }),
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
