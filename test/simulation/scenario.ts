/** What happens in a run, drawn from its seed. */
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
] as const;
/** Which kind of trouble a run is full of; `mixed` draws. */
export type Focus = (typeof FOCUSES)[number];

export type Fault =
  | {
      readonly t: "crash";
      readonly node: number;
      readonly operations: number;
      readonly downMs: number;
    }
  | { readonly t: "crashAll"; readonly downMs: number }
  | { readonly t: "partition"; readonly side: readonly number[]; readonly forMs: number }
  | { readonly t: "deaf"; readonly node: number; readonly forMs: number }
  | { readonly t: "mute"; readonly node: number; readonly forMs: number }
  | { readonly t: "wipe"; readonly node: number; readonly downMs: number }
  | {
      readonly t: "flipBit";
      readonly node: number;
      readonly file: string;
      readonly downMs: number;
    };

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
  readonly faults: readonly { readonly at: number; readonly fault: Fault }[];
  readonly transactions: readonly { readonly at: number; readonly text: string }[];
  /** A member that stays unreachable after the healing. */
  readonly lost: number | undefined;
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
    faults,
    transactions: drawTransactions(random, kind, members, nodes, chaosMs, liar.node),
    lost:
      spare > 0 && kind !== "sets" && kind !== "switch" && random.chance(0.25)
        ? members - 1
        : undefined,
  };
}

function drawFocus(random: Random): Focus {
  const draw = random.unit();
  if (draw < 0.35) return "crashes";
  if (draw < 0.7) return "attacker";
  if (draw < 0.76) return "sets";
  if (draw < 0.82) return "switch";
  if (draw < 0.86) return "slots";
  if (draw < 0.93) return "amnesia";
  return draw < 0.97 ? "lag" : "blackout";
}

function drawMembers(random: Random, kind: Focus, rule: Scenario["rule"]): number {
  if (rule === "crash") return random.pick([3, 5]);
  if (kind === "blackout") return random.pick([2, 4]);
  if (kind === "slots" || kind === "switch") return 4;
  if (kind === "attacker" || kind === "amnesia" || kind === "sets" || kind === "lag") {
    return kind === "attacker" && random.chance(0.1) ? 7 : 4;
  }
  return random.pick([1, 2, 2, 3, 4, 4, 4, 4, 5, 7]);
}

function drawFaults(
  random: Random,
  s: {
    readonly kind: Focus;
    readonly members: number;
    readonly nodes: number;
    readonly chaosMs: number;
    readonly liar: number;
    readonly rule: Scenario["rule"];
  },
): Scenario["faults"] {
  const faults: { at: number; fault: Fault }[] = [];
  const count = s.kind === "lag" ? 2 : random.between(1, 7);
  const node = () => random.between(0, s.nodes - 1);
  for (let i = 0; i < count; i++) {
    const at = random.between(200, s.chaosMs);
    const draw = random.unit();
    if (s.kind === "lag") {
      const downMs = random.between(3_000, 8_000);
      faults.push({ at, fault: { t: "crash", node: node(), operations: 1, downMs } });
    } else if (draw < 0.5) {
      const downMs = random.between(20, 3_000);
      const operations = random.between(1, 60);
      faults.push({ at, fault: { t: "crash", node: node(), operations, downMs } });
    } else if (draw < 0.62) {
      faults.push({ at, fault: { t: "crashAll", downMs: random.between(10, 500) } });
    } else if (draw < 0.8) {
      const side = Array.from({ length: s.nodes }, (_, n) => n).filter(() => random.chance(0.5));
      faults.push({ at, fault: { t: "partition", side, forMs: random.between(200, 5_000) } });
    } else if (draw < 0.9) {
      faults.push({ at, fault: { t: "deaf", node: node(), forMs: random.between(200, 4_000) } });
    } else {
      faults.push({ at, fault: { t: "mute", node: node(), forMs: random.between(200, 4_000) } });
    }
  }
  if (s.kind === "blackout") {
    // The power fails while one height goes through many views.
    faults.length = 0;
    for (const at of [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.98]) {
      const downMs = random.between(10, 400);
      const moment = Math.floor(s.chaosMs * at) + random.between(0, 200);
      faults.push({ at: moment, fault: { t: "crashAll", downMs } });
    }
  }
  if (s.kind === "amnesia") {
    // One victim: recovery needs a quorum of members that remember.
    const victim = random.between(0, s.members - 1);
    const at = random.between(1_000, s.chaosMs);
    const downMs = random.between(20, 2_000);
    faults.push({
      at,
      fault: random.chance(0.6)
        ? { t: "wipe", node: victim, downMs }
        : {
            t: "flipBit",
            node: victim,
            file: random.pick(["sign-state", "wal-"]),
            downMs,
          },
    });
  }
  faults.sort((a, b) => a.at - b.at);
  return faults;
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
