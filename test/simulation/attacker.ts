import type { Mutation, Transport, ValidatorPolicy } from "@hanse/ordering";
import type { SimulatedKey } from "./keys.ts";
import type { LedgerSetup } from "./ledger.ts";
import type { SimulatedNode } from "./node.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

export interface AttackerParts {
  readonly node: SimulatedNode;
  readonly transport: Transport;
  readonly key: SimulatedKey;
  readonly ledger: LedgerSetup;
  readonly policy: ValidatorPolicy;
  readonly random: Random;
  readonly world: World;
}

export function corruptTransport(parts: AttackerParts): Transport {
  return parts.transport;
}
export type { Mutation };
