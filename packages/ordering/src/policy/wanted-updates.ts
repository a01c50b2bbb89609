import type { ValidatorInfo } from "@hanse/protocol";
import type { ValidatorUpdate } from "../engine/interfaces.ts";

export interface WantedWeights {
  /** As the latest set holds it. */
  readonly member: ValidatorInfo;
  readonly vote: number;
  readonly propose: number;
}

/**
 * What has to change in the latest set so that its members weigh as wanted. None where nobody
 * would be left to propose: a ledger that cannot go on is worse than a wrong turn.
 */
export function updatesOf(wanted: readonly WantedWeights[]): ValidatorUpdate[] {
  if (wanted.every(({ vote, propose }) => vote === 0 || propose === 0)) return [];
  return wanted
    .filter(({ member, vote, propose }) => member.vote !== vote || member.propose !== propose)
    .map(({ member: { id, org, key }, vote, propose }) => ({ id, org, key, vote, propose }));
}
