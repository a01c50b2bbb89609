/** Lets old blocks go in the background, a few at a time. */
import { toHanseError } from "@hanse/protocol";
import type { NodeLog } from "../log/create-log.ts";

/** Blocks kept at least, whatever is set: for peers that lag by a little. */
export const KEEP_BLOCKS_MIN = 64;
/** Pause between two steps, so that the ledger's own writes go first. */
const STEP_PAUSE_MS = 20;

export interface PrunerParts {
  /** Blocks removed below a height in one step, at most some hundred. */
  readonly prune: (below: number) => Promise<number>;
  readonly lowest: () => number;
  /** 0 = all of them. */
  readonly keepBlocks: number;
  /** Blocks from this height on are needed by who joins with a snapshot of ours. */
  readonly neededFrom: () => number;
  readonly count: (blocks: number) => void;
  readonly log: NodeLog;
}

export interface Pruner {
  onCommitted(height: number): void;
  /** Resolves when no step is under way. */
  stop(): Promise<void>;
}

export function createPruner(parts: PrunerParts): Pruner {
  const keep = Math.max(KEEP_BLOCKS_MIN, parts.keepBlocks);
  // A tenth more than asked may stay: steps of single blocks would cost more than they free.
  const slack = Math.max(16, Math.min(1_000, Math.floor(keep / 10)));
  let running: Promise<void> | undefined;
  let stopped = false;

  async function run(below: number): Promise<void> {
    let removed = 0;
    try {
      while (!stopped && parts.lowest() < below) {
        const step = await parts.prune(below);
        removed += step;
        if (step === 0) break;
        await new Promise((resolve) => setTimeout(resolve, STEP_PAUSE_MS));
      }
    } catch (thrown) {
      const { code, message } = toHanseError(thrown);
      if (code !== "STORAGE_CLOSED") parts.log.error({ code }, `old blocks stay: ${message}`);
    }
    if (removed === 0) return;
    parts.count(removed);
    parts.log.debug({ removed, lowest: parts.lowest() }, "old blocks were let go");
  }

  return {
    onCommitted(height) {
      if (parts.keepBlocks === 0 || stopped || running !== undefined) return;
      const below = Math.min(height - keep + 1, parts.neededFrom());
      if (below - parts.lowest() < slack) return;
      running = run(below).finally(() => {
        running = undefined;
      });
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}
