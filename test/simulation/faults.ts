/** What goes wrong in a run and when: the fault schedule, drawn from the seed. */
import type { Random } from "./random.ts";
import type { Focus, Scenario } from "./scenario.ts";

export type DiskFailure =
  /** Appending says that there is no room. */
  | "full"
  /** Appending fails. */
  | "error"
  /** Syncing fails, and what was to be synced is gone. */
  | "sync";

export type Fault =
  | {
      readonly t: "crash";
      readonly node: number;
      readonly operations: number;
      readonly downMs: number;
    }
  | { readonly t: "crashAll"; readonly downMs: number }
  | { readonly t: "partition"; readonly side: readonly number[]; readonly forMs: number }
  /** Two sides that meet in one node alone. */
  | {
      readonly t: "bridge";
      readonly side: readonly number[];
      readonly node: number;
      readonly forMs: number;
    }
  /** Nodes lose all their links one by one and get them back one by one in another order. */
  | {
      readonly t: "swizzle";
      readonly out: readonly number[];
      readonly back: readonly number[];
      readonly stepMs: number;
    }
  | { readonly t: "deaf"; readonly node: number; readonly forMs: number }
  | { readonly t: "mute"; readonly node: number; readonly forMs: number }
  /** Its links break and come back at once; what was on the way is lost. */
  | { readonly t: "reset"; readonly node: number }
  | { readonly t: "wipe"; readonly node: number; readonly downMs: number }
  | {
      readonly t: "flipBit";
      readonly node: number;
      readonly file: string;
      readonly downMs: number;
    }
  /** The disk fails; the process ends, and starts again over a disk that works. */
  | {
      readonly t: "disk";
      readonly nodes: readonly number[];
      readonly how: DiskFailure;
      readonly downMs: number;
    }
  /** The clock is wrong by so much more until the healing. */
  | { readonly t: "clock"; readonly node: number; readonly byMs: number }
  /** The process stands still; then everything that came meanwhile happens at once. */
  | { readonly t: "pause"; readonly node: number; readonly forMs: number }
  /** Disk and application take so many times as long. */
  | {
      readonly t: "slow";
      readonly node: number;
      readonly factor: number;
      readonly forMs: number;
    };

export interface TimedFault {
  /** Milliseconds since the beginning. */
  readonly at: number;
  readonly fault: Fault;
}

export interface FaultParts {
  readonly kind: Focus;
  readonly members: number;
  readonly nodes: number;
  readonly chaosMs: number;
  readonly liar: number;
  readonly rule: Scenario["rule"];
}

const HOUR_MS = 3_600_000;

export function drawFaults(random: Random, s: FaultParts): TimedFault[] {
  const faults: TimedFault[] = [];
  const add = (fault: Fault, at = random.between(200, s.chaosMs)) => faults.push({ at, fault });
  switch (s.kind) {
    case "lag":
      for (let i = 0; i < 2; i++) {
        add({
          t: "crash",
          node: random.between(0, s.nodes - 1),
          operations: 1,
          downMs: random.between(3_000, 8_000),
        });
      }
      break;
    case "blackout":
      // The power fails while one height goes through many views.
      for (const part of [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.98]) {
        const downMs = random.between(10, 400);
        add({ t: "crashAll", downMs }, Math.floor(s.chaosMs * part) + random.between(0, 200));
      }
      break;
    case "disks":
      for (let i = random.between(1, 4); i > 0; i--) add(drawDiskFault(random, s.nodes));
      for (let i = random.between(0, 3); i > 0; i--) add(drawFault(random, s.nodes));
      break;
    case "clocks":
      for (let i = random.between(1, 4); i > 0; i--) add(drawTimeFault(random, s.nodes));
      for (let i = random.between(0, 3); i > 0; i--) add(drawFault(random, s.nodes));
      break;
    case "links":
      for (let i = random.between(2, 6); i > 0; i--) add(drawLinkFault(random, s.nodes));
      for (let i = random.between(0, 2); i > 0; i--) add(drawFault(random, s.nodes));
      break;
    default:
      for (let i = random.between(1, 7); i > 0; i--) add(drawFault(random, s.nodes));
  }
  if (s.kind === "amnesia") {
    // One victim: recovery needs a quorum of members that remember.
    const node = random.between(0, s.members - 1);
    const downMs = random.between(20, 2_000);
    add(
      random.chance(0.6)
        ? { t: "wipe", node, downMs }
        : { t: "flipBit", node, file: random.pick(["sign-state", "wal-"]), downMs },
      random.between(1_000, s.chaosMs),
    );
  }
  return faults.sort((a, b) => a.at - b.at);
}

function drawFault(random: Random, nodes: number): Fault {
  const draw = random.unit();
  const node = random.between(0, nodes - 1);
  if (draw < 0.5) {
    const downMs = random.between(20, 3_000);
    return { t: "crash", node, operations: random.between(1, 60), downMs };
  }
  if (draw < 0.62) return { t: "crashAll", downMs: random.between(10, 500) };
  if (draw < 0.8) {
    return { t: "partition", side: drawSide(random, nodes), forMs: random.between(200, 5_000) };
  }
  const forMs = random.between(200, 4_000);
  return draw < 0.9 ? { t: "deaf", node, forMs } : { t: "mute", node, forMs };
}

function drawSide(random: Random, nodes: number): number[] {
  return Array.from({ length: nodes }, (_, i) => i).filter(() => random.chance(0.5));
}

function drawOrder(random: Random, nodes: number): number[] {
  const order = Array.from({ length: nodes }, (_, i) => i);
  for (let i = nodes - 1; i > 0; i--) {
    const other = random.between(0, i);
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}

function drawDiskFault(random: Random, nodes: number): Fault {
  // Machines that share a store fail together.
  const hit = random.chance(0.2) ? drawSide(random, nodes) : [random.between(0, nodes - 1)];
  const how = random.pick(["full", "error", "sync"] as const);
  return { t: "disk", nodes: hit, how, downMs: random.between(50, 2_500) };
}

function drawTimeFault(random: Random, nodes: number): Fault {
  const node = random.between(0, nodes - 1);
  const draw = random.unit();
  if (draw < 0.5) {
    const jump = random.pick([40, 2_000, 9_000, 30_000, 120_000, HOUR_MS]);
    return { t: "clock", node, byMs: random.chance(0.5) ? jump : -jump };
  }
  if (draw < 0.8) return { t: "pause", node, forMs: random.between(50, 6_000) };
  const factor = random.pick([3, 20, 60]);
  return { t: "slow", node, factor, forMs: random.between(500, 6_000) };
}

function drawLinkFault(random: Random, nodes: number): Fault {
  const draw = random.unit();
  const node = random.between(0, nodes - 1);
  const forMs = random.between(300, 5_000);
  if (draw < 0.3) return { t: "bridge", side: drawSide(random, nodes), node, forMs };
  if (draw < 0.6) {
    const stepMs = random.between(20, 900);
    return { t: "swizzle", out: drawOrder(random, nodes), back: drawOrder(random, nodes), stepMs };
  }
  if (draw < 0.75) return { t: "reset", node };
  if (draw < 0.85) return { t: "partition", side: drawSide(random, nodes), forMs };
  return draw < 0.93 ? { t: "deaf", node, forMs } : { t: "mute", node, forMs };
}
