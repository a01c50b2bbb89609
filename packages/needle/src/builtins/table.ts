/** All built-in functions. */
import { ACCESS_BUILTINS } from "./access.ts";
import type { Builtin } from "./builtin.ts";
import { CONTAINER_BUILTINS } from "./containers.ts";
import { DATE_BUILTINS } from "./dates.ts";
import { HASH_BUILTINS } from "./hashes.ts";
import { LEDGER_BUILTINS } from "./ledger.ts";
import { NUMBER_BUILTINS } from "./numbers.ts";
import { REGEXP_BUILTINS } from "./regexp.ts";
import { VALUE_BUILTINS } from "./values.ts";

/** The chapters under which the specification lists the built-ins. */
export const BUILTIN_CHAPTERS: readonly {
  readonly title: string;
  readonly builtins: readonly Builtin[];
}[] = [
  { title: "Values, texts and bytes", builtins: [...VALUE_BUILTINS, ...REGEXP_BUILTINS] },
  { title: "Arrays, maps and JSON", builtins: CONTAINER_BUILTINS },
  { title: "Numbers and money", builtins: NUMBER_BUILTINS },
  { title: "Time", builtins: DATE_BUILTINS },
  { title: "Hashes, keys and addresses", builtins: HASH_BUILTINS },
  { title: "Contracts, access and errors", builtins: ACCESS_BUILTINS },
  { title: "The ledger", builtins: LEDGER_BUILTINS },
];

/** By name. */
export const BUILTINS: ReadonlyMap<string, Builtin> = new Map(
  BUILTIN_CHAPTERS.flatMap(({ builtins }) => builtins.map((one) => [one.name, one] as const)),
);
