/** Module `presence`: what members and candidates tell policy `posr`, and why everyone weighs what it weighs. */
import { requireNode } from "@hanse/identity";
import type { Sender } from "@hanse/ledger";
import {
  decodeDpoaState,
  decodePosrState,
  explainPosr,
  maintenanceRefusal,
  type PosrState,
  readPosrParams,
  SLOTS,
} from "@hanse/ordering";
import { HanseError } from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import { type ArgumentReader, text, uint } from "../engine/arguments.ts";
import { inputText } from "../engine/inputs.ts";
import { defineAction, type NativeModule } from "../engine/native-engine.ts";
import { type Rules, readRules } from "../governance/rules.ts";
import { GOVERNANCE_KV, POLICY_KEY } from "../governance/tables.ts";
import { newestSet } from "../governance/validator-sets.ts";
import { addToInbox, targetsFromCbor } from "./inbox.ts";

const NODE_ID_MAX = 127;
const TARGETS_MAX = 1_024;
const FUEL_REPORT = 20_000;
const FUEL_ANNOUNCE = 2_000;

type Targets = ReturnType<typeof targetsFromCbor>;

function targets(): ArgumentReader<Targets> {
  return (value, field) => {
    const found = targetsFromCbor(value, field);
    const isSound = found.every(({ asked, answered }) => {
      return asked < 2 ** SLOTS && answered < 2 ** SLOTS && (answered & ~asked) === 0;
    });
    if (found.length > TARGETS_MAX || !isSound) {
      throw new HanseError(
        "MODULE_ARGUMENT",
        "malformed",
        `${field}: expected at most ${TARGETS_MAX} targets with slots as bits below 2^${SLOTS}, answered ones among those asked`,
        { details: { field } },
      );
    }
    return found;
  };
}

/** @throws HanseError `PRESENCE_DENIED` unless the sender speaks for the node's organization. */
function requireOwner(state: StateView, node: string, sender: Sender): void {
  const { org } = requireNode(state, node);
  if (org === sender.org) return;
  throw new HanseError(
    "PRESENCE_DENIED",
    "denied",
    `node: ${node} belongs to ${org}: an account of ${org} must send this`,
    { details: { org } },
  );
}

/** @throws HanseError `PRESENCE_POLICY` where nobody would take it. */
function requirePosr(state: StateView, probing: boolean): { rules: Rules; record: PosrState } {
  const rules = readRules(state);
  const record = state.getKv(GOVERNANCE_KV, POLICY_KEY)?.value;
  if (rules.policy !== "posr" || record === undefined) {
    throw new HanseError(
      "PRESENCE_POLICY",
      "rejected",
      `the ledger's policy is ${rules.policy}: only posr counts presence`,
    );
  }
  if (probing && rules.policyParams.probing !== 1) {
    throw new HanseError(
      "PRESENCE_POLICY",
      "rejected",
      "the ledger's policy counts signatures alone; its parameter probing is not 1",
    );
  }
  return { rules, record: decodePosrState(record) };
}

const report = defineAction({
  fields: { node: text(NODE_ID_MAX), epoch: uint(), targets: targets() },
  fuel: FUEL_REPORT,
  check({ node }, sender, state) {
    requireOwner(state, node, sender);
    requirePosr(state, true);
  },
  run({ node, epoch, targets: seen }, { state, emit }) {
    const { record } = requirePosr(state, true);
    if (epoch !== record.epoch && epoch !== record.epoch - 1) {
      throw new HanseError(
        "PRESENCE_EPOCH",
        "rejected",
        `epoch: ${epoch} is neither the running epoch ${record.epoch} nor the one before`,
      );
    }
    if (record.reports.some((known) => known.prober === node && known.epoch === epoch)) {
      throw new HanseError(
        "PRESENCE_REPORTED",
        "conflict",
        `epoch: ${node} has reported on ${epoch} already; the first report counts`,
      );
    }
    addToInbox(state, { reports: [{ prober: node, epoch, targets: seen }] });
    emit("reported", { node, epoch, targets: seen.length });
    return null;
  },
});

const maintenance = defineAction({
  fields: { node: text(NODE_ID_MAX), fromEpoch: uint(), toEpoch: uint() },
  fuel: FUEL_ANNOUNCE,
  check({ node }, sender, state) {
    requireOwner(state, node, sender);
    requirePosr(state, false);
  },
  run({ node, fromEpoch, toEpoch }, { state, emit }) {
    const { rules, record } = requirePosr(state, false);
    const notice = { id: node, fromEpoch, toEpoch };
    const params = readPosrParams(rules.policyParams);
    const { members } = newestSet(state).set;
    const refusal = maintenanceRefusal(record, notice, members, params);
    if (refusal !== undefined) {
      throw new HanseError("PRESENCE_MAINTENANCE", "rejected", refusal);
    }
    addToInbox(state, { maintenance: [notice] });
    emit("maintenance", { node, fromEpoch, toEpoch });
    return null;
  },
});

export function createPresenceModule(): NativeModule {
  return {
    name: "presence",
    actions: { report, maintenance },
    queries: {
      /** `{node?}`: the policy's record; with posr why members weigh what they weigh. */
      policy(input, _caller, state, block) {
        const { policy, policyParams } = readRules(state);
        const wanted = inputText(input, "node");
        const { set } = newestSet(state);
        const members = set.members.filter(({ id }) => wanted === undefined || id === wanted);
        if (wanted !== undefined && members.length === 0) requireNode(state, wanted);
        const record = state.getKv(GOVERNANCE_KV, POLICY_KEY)?.value;
        const common = { policy, policyParams, height: block.height };
        const plain = members.map(({ id, vote, propose }) => ({ id, vote, propose }));
        if (record === undefined || policy === "fixed") return { ...common, members: plain };
        if (policy === "dpoa") {
          const { members: records } = decodeDpoaState(record);
          return {
            ...common,
            members: plain.map((member) => ({ ...member, record: records.get(member.id) ?? null })),
          };
        }
        const posr = decodePosrState(record);
        const params = readPosrParams(policyParams);
        return {
          ...common,
          epoch: {
            number: posr.epoch,
            from: posr.firstHeight,
            to: posr.firstHeight + params.epochBlocks - 1,
          },
          maintenance: posr.maintenance,
          members: plain.map((member) => ({
            ...member,
            why: explainPosr(posr, member.id, params) ?? null,
          })),
        };
      },
    },
  };
}
