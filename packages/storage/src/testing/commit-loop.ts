/**
 * A process that commits blocks until it is killed: `node commit-loop.ts DIR`. Every block's changes
 * follow from its height alone, so that two runs that reach a height must have the same root.
 * Prints `P pid-of-postgres`, `S height root` at start and `C height root` after each commit.
 */
import { toHex } from "@hanse/protocol";
import type { StateOverlay } from "@hanse/state";
import { openLedgerStore, startEmbeddedPostgres } from "../index.ts";
import { applyBlock, sampleLedgerId, seedStore } from "./sample-chain.ts";

const ROWS = 300n;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Changes of a height: updates, inserts, removals, entries, now and then a table or a column. */
export function stepsOf(height: number): ((state: StateOverlay) => void)[] {
  const steps: ((state: StateOverlay) => void)[] = [];
  for (let i = 0; i < 30; i++) {
    const key = 1n + (BigInt(height * 31 + i * 17) % ROWS);
    steps.push((state) => {
      if (state.getRow("t", key) === undefined) state.insert("t", [key, `again ${height}`]);
      else if ((height + i) % 11 === 0) state.remove("t", key);
      else state.update("t", key, { text: `height ${height} step ${i}` });
      state.putKv("ns", Uint8Array.of(i), Uint8Array.of(height & 255, i));
      state.insert("t", [state.nextId("t"), `new ${height}`]);
    });
  }
  if (height % 40 === 7) {
    const columns = [{ name: "id", type: "int" }] as const;
    steps.push((state) => state.createTable({ name: `t${height}`, columns, indexes: [] }));
  }
  return steps;
}

export function seed(state: StateOverlay): void {
  state.createTable({
    name: "t",
    columns: [
      { name: "id", type: "int" },
      { name: "text", type: "text" },
    ],
    indexes: ["text"],
  });
  for (let i = 1n; i <= ROWS; i++) state.insert("t", [i, "seed"]);
}

if (process.argv[1]?.endsWith("commit-loop.ts")) {
  const ledgerId = sampleLedgerId("crash");
  const postgres = await startEmbeddedPostgres({ dir: process.argv[2]! });
  say(`P ${postgres.pid}`);
  const store = await openLedgerStore({
    database: postgres,
    ledgerId,
    onFailure: (error) => {
      say(`F ${error.code}`);
      process.exit(3);
    },
  });
  let { height, stateRoot } = await store.info();
  if (stateRoot.every((byte) => byte === 0)) stateRoot = await seedStore(store, ledgerId, seed);
  await store.verifyIntegrity();
  say(`S ${height} ${toHex(stateRoot)}`);
  // One block is folded while the one below it is written, as in a node.
  let committing: Promise<void> = Promise.resolve();
  for (;;) {
    height++;
    const block = await applyBlock(store, height, stepsOf(height), { ledgerId });
    await committing;
    const at = height;
    committing = store.commit(block.commit).then(() => say(`C ${at} ${toHex(block.root)}`));
  }
}
