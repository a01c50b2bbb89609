import type { Builtin } from "./builtin.ts";

export const NUMBER_BUILTINS: readonly Builtin[] = [];
