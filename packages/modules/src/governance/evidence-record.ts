/** Proven equivocation as a fact of the ledger, and what it costs. */
import {
  decodeEvidence,
  type Evidence,
  type Height,
  offenceKey,
  type ValidatorUpdate,
} from "@hanse/ordering";
import { type Bytes, type EvidenceConsequence, HanseError, toHex } from "@hanse/protocol";
import type { Row, StateOverlay, StateView } from "@hanse/state";
import { putQueue, QUEUE_MAX, readQueue, rehearseQueue } from "./change-queue.ts";
import { putRules, readRules } from "./rules.ts";
import { EVIDENCE } from "./tables.ts";
import { newestSet } from "./validator-sets.ts";

/** Whether the offence is on the ledger already, so that it may not stand in a block again. */
export function isRecorded(view: StateView, evidence: Evidence): boolean {
  return view.getRow(EVIDENCE, offenceKey(evidence)) !== undefined;
}

interface Judgement {
  readonly consequence: EvidenceConsequence;
  readonly note: string;
}

/** What follows for the set; a set that cannot do without the validator keeps it. */
function judge(overlay: StateOverlay, validator: string, wanted: EvidenceConsequence): Judgement {
  if (wanted === "record") return { consequence: "record", note: "" };
  const { set } = newestSet(overlay);
  const member = set.members.find(({ id }) => id === validator);
  if (member === undefined) return { consequence: "record", note: "it is no validator any more" };
  const update: ValidatorUpdate =
    wanted === "remove" ? { ...member, vote: 0, propose: 0 } : { ...member, propose: 0 };
  const queue = readQueue(overlay).filter((change) => change.update.id !== validator);
  const next = [{ update, at: 0, proposal: 0 }, ...queue];
  try {
    rehearseQueue(next, set);
  } catch (error) {
    if (!(error instanceof HanseError) || error.kind !== "rejected") throw error;
    return { consequence: "record", note: `the set cannot do without it: ${error.message}` };
  }
  if (next.length > QUEUE_MAX)
    return { consequence: "record", note: "too many changes on their way" };
  putQueue(overlay, next);
  const rules = readRules(overlay);
  const others = rules.barred.filter((id) => id !== validator);
  const barred = wanted === "suspend" ? [...others, validator].sort() : others;
  if (barred.join() !== rules.barred.join()) putRules(overlay, { ...rules, barred });
  return { consequence: wanted, note: "" };
}

/** Records each piece of a block once, with its consequence. Its signatures held before any vote. */
export function recordEvidence(
  overlay: StateOverlay,
  list: readonly Bytes[],
  height: Height,
): boolean {
  let changed = false;
  for (const bytes of list) {
    const evidence = decodeEvidence(bytes);
    if (isRecorded(overlay, evidence)) continue;
    const { consequence, note } = judge(
      overlay,
      evidence.validator,
      readRules(overlay).constitution.evidence,
    );
    overlay.insert(EVIDENCE, [
      offenceKey(evidence),
      evidence.validator,
      evidence.kind,
      BigInt(evidence.height),
      BigInt(evidence.view),
      BigInt(height),
      consequence,
      note,
      bytes,
    ]);
    changed = true;
  }
  return changed;
}

function describeRow(row: Row) {
  const [, validator, kind, height, view, recorded, consequence, note, evidence] = row.values;
  return {
    validator: validator as string,
    kind: kind as string,
    height: Number(height),
    view: Number(view),
    recordedAt: Number(recorded),
    consequence: consequence as string,
    note: note as string,
    evidence: toHex(evidence as Bytes),
  };
}

export function listEvidence(view: StateView, limit: number, offset: number) {
  return view.find({ table: EVIDENCE, limit, offset }).map(describeRow);
}
