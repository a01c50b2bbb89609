/**
 * Broken rules, one at a time: the check of the checker. Those of the engine are switched on inside
 * it; those of what stands around it (disk, database, application, links, keys) in the simulator.
 */
import { type Disk, MUTATIONS, type Mutation, type Transport } from "@hanse/ordering";
import { toHex } from "@hanse/protocol";
import { crc32 } from "./wiring.ts";
import type { Trouble } from "./worlds.ts";

export const JOINT_MUTATIONS = [
  // A failed sync is taken for a good one.
  "ignore-failed-sync",
  // Nothing that was sent before is sent again.
  "never-repeat",
  // The database says that a height is durable before it is.
  "commit-before-durable",
  // Transactions of earlier blocks are offered and accepted again.
  "no-duplicate-check",
  // A node executes a block with several transactions in another order.
  "divergent-execution",
  // Every signature holds.
  "accept-any-signature",
  // A recovery document is followed although too few organizations signed it.
  "accept-any-recovery",
] as const;
export type JointMutation = (typeof JOINT_MUTATIONS)[number];

export type BrokenRule = Mutation | JointMutation;
export const BROKEN_RULES: readonly BrokenRule[] = [...MUTATIONS, ...JOINT_MUTATIONS];

/** The scenario that exposes each rule; lies only show where somebody lies. */
export const EXPOSED_BY: Readonly<Record<BrokenRule, Trouble>> = {
  "quorum-one-too-small": "crashes",
  "finalize-after-nullify": "crashes",
  "skip-justification": "attacker",
  "notarize-twice": "attacker",
  "accept-non-leader": "attacker",
  "skip-validation": "attacker",
  "forget-votes": "crashes",
  "forget-certificates": "blackout",
  "no-retally": "blackout",
  "vote-while-behind": "lag",
  "send-before-durable": "blackout",
  "wrong-set-at-next-height": "sets",
  "reuse-wiped-signing-state": "amnesia",
  "trust-unverified-range": "attacker",
  "accept-any-evidence": "attacker",
  "ignore-slots": "slots",
  "keep-old-epoch": "switch",
  "nullify-after-finalize": "crashes",
  "quarantine-floor-too-low": "amnesia",
  "ignore-failed-sync": "disks",
  "never-repeat": "crashes",
  "commit-before-durable": "blackout",
  "no-duplicate-check": "crashes",
  "divergent-execution": "crashes",
  "accept-any-signature": "attacker",
  "accept-any-recovery": "recovery",
};

export function isJointMutation(rule: BrokenRule | undefined): rule is JointMutation {
  return JOINT_MUTATIONS.some((name) => name === rule);
}

/** A disk whose failures go unnoticed. */
export function ignoreFailedSync(disk: Disk): Disk {
  return { ...disk, sync: () => disk.sync().catch(() => {}) };
}

/** Links over which a process says everything once. */
export function neverRepeat(transport: Transport): Transport {
  const said = new Set<string>();
  const isNew = (to: string, bytes: Uint8Array) => {
    const key = `${to}/${bytes.length}/${crc32(bytes)}/${toHex(bytes.subarray(-8))}`;
    return !said.has(key) && said.add(key) !== undefined;
  };
  return {
    ...transport,
    self: transport.self,
    send: (to, channel, bytes) => {
      if (channel !== "consensus" || isNew(to, bytes)) transport.send(to, channel, bytes);
    },
    broadcast: (channel, bytes) => {
      if (channel !== "consensus" || isNew("all", bytes)) transport.broadcast(channel, bytes);
    },
  };
}
