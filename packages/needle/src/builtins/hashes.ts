import type { Builtin } from "./builtin.ts";

export const HASH_BUILTINS: readonly Builtin[] = [];
