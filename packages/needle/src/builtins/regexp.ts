import type { Builtin } from "./builtin.ts";

export const REGEXP_BUILTINS: readonly Builtin[] = [];
