/** Whom a node asks in an epoch, and at which moment of each slot. */
import type { Hash, ValidatorId } from "@hanse/protocol";
import { SLOTS } from "../policy/posr-params.ts";
import { assignProbers, type ProbeAccount } from "../policy/posr-probes.ts";

export interface ProbeDuty {
  readonly target: ValidatorId;
  readonly slot: number;
}

/** In the order of slots. At most one duty per target and slot. */
export function listDuties(
  accounts: readonly Pick<ProbeAccount, "id" | "org">[],
  epoch: number,
  probers: number,
  self: ValidatorId,
): ProbeDuty[] {
  const probersOf = assignProbers(accounts, epoch, probers);
  const duties: ProbeDuty[] = [];
  for (const target of accounts) {
    for (const [slot, chosen] of probersOf(target).entries()) {
      if (chosen.has(self)) duties.push({ target: target.id, slot });
    }
  }
  return duties.sort((a, b) => a.slot - b.slot);
}

/**
 * Where in its slot a probe is sent: after so many blocks of the epoch, and a part (0 to below 1)
 * of the pause to the next one. Nobody but the prober knows the challenge before it is sent.
 */
export function momentOf(
  challenge: Hash,
  slot: number,
  epochBlocks: number,
): { readonly blocks: number; readonly part: number } {
  const draw = new DataView(challenge.buffer, challenge.byteOffset, 4).getUint32(0) / 2 ** 32;
  const place = ((slot + draw) * epochBlocks) / SLOTS;
  const blocks = Math.floor(place);
  return { blocks, part: place - blocks };
}
