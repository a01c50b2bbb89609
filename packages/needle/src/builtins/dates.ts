import type { Builtin } from "./builtin.ts";

export const DATE_BUILTINS: readonly Builtin[] = [];
