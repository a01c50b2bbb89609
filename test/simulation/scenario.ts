/** What happens in a run, drawn from its seed. */
import { drawFaults, type TimedFault } from "./faults.ts";
import type { Random } from "./random.ts";

export const FOCUSES = [
  "mixed",
  "crashes",
  "attacker",
  "sets",
  "amnesia",
  "lag",
  "blackout",
  "slots",
  "switch",
  "disks",
  "clocks",
  "links",
  "standing",
] as const;
/** Which kind of trouble a run is full of; `mixed` draws. */
export type Focus = (typeof FOCUSES)[number];

/** What stays broken after the healing: a core that is sound must go on all the same. */
export const STANDING_FAULTS = ["deaf", "mute", "dead", "slow", "flaky", "clock"] as const;
export type StandingFault = (typeof STANDING_FAULTS)[number];

export interface Scenario {
  readonly nodes: number;
  /** Members of the first set: nodes 0 to members-1. */
  readonly members: number;
  readonly rule: "byzantine" | "crash";
  readonly weights: readonly number[];
  /** Length of a time slot of policy `dpoa`; 0 = policy `fixed`. */
  readonly slotMs: number;
  readonly liar: { readonly kind: "none" | "twin" | "attacker"; readonly node: number };
  readonly chaosMs: number;
  readonly loss: number;
  readonly proposalLoss: number;
  readonly duplication: number;
  readonly diskMsMax: number;
  readonly delayMsMax: number;
  readonly clockSkewMsMax: number;
  /** Clocks gain or lose up to this much. */
  readonly clockDriftMax: number;
  readonly faults: readonly TimedFault[];
  readonly transactions: readonly { readonly at: number; readonly text: string }[];
  /** A member that stays broken after the healing. */
  readonly lost: { readonly node: number; readonly how: StandingFault } | undefined;
}

export function createScenario(random: Random, focus: Focus): Scenario {
  const kind = focus === "mixed" ? drawFocus(random) : focus;
  const rule =
    kind !== "attacker" && kind !== "slots" && random.chance(0.12) ? "crash" : "byzantine";
  const members = drawMembers(random, kind, rule);
  const nodes = kind === "sets" || kind === "switch" ? members + 2 : members;
  const weights =
    members === 5 && rule === "byzantine" && random.chance(0.5)
      ? [2, 2, 2, 2, 1]
      : Array.from({ length: nodes }, () => 1);
  const liar: Scenario["liar"] =
    kind === "attacker" || (kind === "slots" && random.chance(0.5))
      ? { kind: random.chance(0.8) ? "attacker" : "twin", node: random.between(0, members - 1) }
      : { kind: "none", node: -1 };
  const chaosMs = random.between(4_000, 16_000);
  const faults = drawFaults(random, { kind, members, nodes, chaosMs, liar: liar.node, rule });
  const damaged = faults.some(({ fault }) => fault.t === "wipe" || fault.t === "flipBit");
  const hasSpare = kind !== "sets" && kind !== "switch";
  const tolerates =
    rule === "crash" ? Math.floor((members - 1) / 2) : Math.floor((members - 1) / 3);
  const spare = tolerates - (liar.node >= 0 ? 1 : 0) - (damaged ? 1 : 0);
  return {
    nodes,
    members,
    rule,
    weights,
    slotMs: kind === "slots" ? random.pick([250, 600, 2_000]) : 0,
    liar,
    chaosMs,
    loss: random.chance(0.4) ? 0 : random.unit() * 0.3,
    proposalLoss: kind === "blackout" ? random.pick([0.3, 0.97]) : 0,
    diskMsMax: random.pick([1, 3, 30, 120]),
    duplication: random.chance(0.5) ? 0 : random.unit() * 0.2,
    delayMsMax: random.pick([5, 20, 80, 400]),
    clockSkewMsMax: random.pick([0, 50, 3_000]),
    clockDriftMax: kind === "clocks" ? random.pick([0.001, 0.05]) : 0,
    faults,
    transactions: drawTransactions(random, kind, members, nodes, chaosMs, liar.node),
    lost:
      spare > 0 && hasSpare && (kind === "standing" || random.chance(0.25))
        ? { node: random.between(0, members - 1), how: random.pick(STANDING_FAULTS) }
        : undefined,
  };
}

/** Parts of a hundred; what is not drawn is `blackout`. */
const SHARES: readonly (readonly [Focus, number])[] = [
  ["crashes", 24],
  ["attacker", 30],
  ["sets", 5],
  ["switch", 5],
  ["slots", 4],
  ["amnesia", 6],
  ["lag", 3],
  ["disks", 6],
  ["clocks", 6],
  ["links", 5],
  ["standing", 4],
];

function drawFocus(random: Random): Focus {
  let draw = random.unit() * 100;
  for (const [focus, share] of SHARES) {
    draw -= share;
    if (draw < 0) return focus;
  }
  return "blackout";
}

function drawMembers(random: Random, kind: Focus, rule: Scenario["rule"]): number {
  if (rule === "crash") return random.pick([3, 5]);
  if (kind === "blackout") return random.pick([2, 4]);
  if (kind === "slots" || kind === "switch") return 4;
  if (kind === "standing") return random.pick([4, 4, 5, 7]);
  if (kind === "links") return random.pick([3, 4, 4, 5]);
  if (kind === "attacker" || kind === "amnesia" || kind === "sets" || kind === "lag") {
    return kind === "attacker" && random.chance(0.1) ? 7 : 4;
  }
  return random.pick([1, 2, 2, 3, 4, 4, 4, 4, 5, 7]);
}

function drawTransactions(
  random: Random,
  kind: Focus,
  members: number,
  nodes: number,
  chaosMs: number,
  liar: number,
): Scenario["transactions"] {
  const transactions: { at: number; text: string }[] = [];
  const count = kind === "lag" ? 150 : random.between(4, 25);
  for (let i = 0; i < count; i++) {
    transactions.push({ at: random.between(0, chaosMs), text: `transaction ${i}` });
  }
  if (kind === "switch") {
    for (let i = 0; i < random.between(1, 3); i++) {
      const slotMs = random.pick([0, 0, 300]);
      const text = `switch:${random.pick(["byzantine", "crash"])}:${slotMs}:${i}`;
      transactions.push({ at: random.between(0, chaosMs), text });
    }
  }
  if (kind === "sets" || kind === "switch") {
    for (let i = 0; i < random.between(2, 6); i++) {
      const add = random.chance(0.6);
      const who = add ? random.between(members, nodes - 1) : random.between(0, nodes - 1);
      if (who === liar) continue;
      const text = `set:${add ? "add" : "remove"}:${who}:${i}`;
      transactions.push({ at: random.between(0, chaosMs), text });
    }
  }
  transactions.sort((a, b) => a.at - b.at);
  return transactions;
}
