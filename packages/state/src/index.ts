export { PAIR_HASHER } from "#pair-hasher";
export {
  CONDITION_DEPTH_MAX,
  CONDITION_NODES_MAX,
  columnIndex,
  compileCondition,
  createRowOrder,
  evaluateCondition,
  JSON_PATH_MAX,
  keysOf,
  ORDER_COLUMNS_MAX,
  QUERY_OFFSET_MAX,
  type RowTest,
  validatePage,
} from "./conditions/evaluate.ts";
export { createLikeMatcher } from "./conditions/like.ts";
export { createMemoryState, type MemoryState } from "./memory/memory-state.ts";
export { type Below, mergeFind, type TouchedRow } from "./overlay/merged-query.ts";
export { RANGE_LIMIT_MAX } from "./overlay/merged-range.ts";
export { createOverlay } from "./overlay/overlay.ts";
export {
  leavesOf,
  type NetChanges,
  type NetTable,
  netChanges,
} from "./tree/state-leaves.ts";
export { StateTree, type StateTreeUpdate, TREE_LEAVES_MAX } from "./tree/state-tree.ts";
export {
  canonicalJson,
  isCanonicalJson,
  JSON_DEPTH_MAX,
  jsonTextAt,
} from "./values/canonical-json.ts";
export {
  bytesKey,
  COLUMNS_MAX,
  compareMoney,
  compareValues,
  INDEXES_MAX,
  INT64_MAX,
  INT64_MIN,
  isCanonicalMoney,
  KEY_BYTES_MAX,
  MONEY_DIGITS_MAX,
  mapKey,
  VALUE_BYTES_MAX,
  validateColumn,
  validateKey,
  validateSchema,
  validateValue,
  valueFault,
  widenValues,
} from "./values/column-values.ts";
export * from "./view/state-view.ts";
