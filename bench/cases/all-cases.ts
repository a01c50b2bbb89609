/** Every case, in the order in which they run. */
import type { BenchCase } from "../bench-case.ts";
import { engineCases } from "./engines.ts";
import { finalityIdleCase } from "./finality-idle.ts";
import { stressCases } from "./four-under-stress.ts";
import { joinSnapshotCase } from "./join-snapshot.ts";
import { memoryCase } from "./memory.ts";
import { replayCase } from "./replay.ts";
import { tableGrowthCase } from "./table-growth.ts";
import { throughputCases } from "./throughput.ts";
import { validatorsCase } from "./validators.ts";

export const BENCH_CASES: readonly BenchCase[] = [
  ...throughputCases,
  finalityIdleCase,
  ...engineCases,
  tableGrowthCase,
  replayCase,
  joinSnapshotCase,
  memoryCase,
  ...stressCases,
  validatorsCase,
];
