/**
 * What honest members signed in a run, height by height, as steps of the Quint model: each signature
 * is an action of spec/model/simplex.qnt that must be possible where it stands.
 */
import type { SignPlace } from "@hanse/ordering";
import { quorumWeight, toHex, type ValidatorSet } from "@hanse/protocol";

export interface TracedHeight {
  readonly height: number;
  readonly set: ValidatorSet;
  /** Members whose votes are not traced: the model lets them sign everything. */
  readonly liars: readonly string[];
  readonly leaderOf: (view: number) => string;
  /** Hash of the block that became final, in hex; undefined while none did. */
  readonly final: string | undefined;
  readonly signed: readonly { readonly id: string; readonly at: SignPlace }[];
}

/** Longer heights are left out: a run of the model is one expression. */
const STEPS_MAX = 120;

/** One `run` of the model per height, with a name that begins with the prefix. */
export function toQuintRuns(heights: readonly TracedHeight[], prefix: string): string[] {
  return heights
    .filter(({ signed }) => signed.length > 0 && signed.length <= STEPS_MAX)
    .map((traced) => `  run ${prefix}Height${traced.height}Test = ${toExpression(traced)}`);
}

/** The model's text with a module `traces` of these runs behind it. */
export function toQuintFile(model: string, runs: readonly string[]): string {
  const instance = '  import simplex(BROKEN = "none").*';
  return `${model}\nmodule traces {\n${instance}\n${runs.join("\n")}\n}\n`;
}

function toExpression({ set, liars, leaderOf, final, signed }: TracedHeight): string {
  const inSet = liars.filter((id) => set.members.some((member) => member.id === id));
  const views = signed.reduce((most, { at }) => Math.max(most, at.view), 0) + 1;
  const weights = set.members.map(({ id, vote }) => `"${id}" -> ${vote}`).join(", ");
  const leaders = Array.from({ length: views }, (_, view) => `"${leaderOf(view)}"`).join(", ");
  const setting = [
    `weights: Map(${weights})`,
    `quorum: ${quorumWeight(set)}`,
    `liars: Set(${inSet.map((id) => `"${id}"`).join(", ")})`,
    `leaders: List(${leaders})`,
  ].join(", ");
  const steps = [`initWith({ ${setting} })`];
  const names = new Map<string, string>();
  const nameOf = (hash: string) => {
    if (!names.has(hash)) names.set(hash, `b${names.size}`);
    return `"${names.get(hash)!}"`;
  };
  const viewOf = new Map<string, number>();
  const done = new Set<string>();
  for (const { id, at } of signed) {
    const { kind, view } = at;
    const block = at.blockHash === undefined ? "" : nameOf(toHex(at.blockHash));
    const parent = at.parentView ?? -1;
    // A restarted member signs what it signed before once more.
    const key = `${id}/${kind}/${view}/${block}/${parent}`;
    if (done.has(key)) continue;
    done.add(key);
    const before = viewOf.get(id) ?? 0;
    if (kind === "propose") {
      steps.push(`propose("${id}", ${view}, ${block}, ${parent})`);
      continue;
    }
    if (kind === "finalize") {
      steps.push(`finalize("${id}", ${view}, ${block})`);
      viewOf.set(id, view + 1);
      continue;
    }
    if (view > before) {
      steps.push(`enter("${id}", ${view})`);
      viewOf.set(id, view);
    }
    steps.push(
      kind === "notarize"
        ? `notarize("${id}", ${view}, ${block}, ${parent})`
        : `nullify("${id}", ${view})`,
    );
  }
  if (final !== undefined) {
    const isFinal = `0.to(${views - 1}).exists(v => final(v, ${nameOf(final)}))`;
    steps.push(`all { assert(${isFinal}), keep }`);
  }
  return steps.map((step, i) => (i === 0 ? step : `    .then(${step})`)).join("\n");
}
