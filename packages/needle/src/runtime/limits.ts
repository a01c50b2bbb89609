/** Bounds of one run. Fuel and memory come with the run; these belong to the language. */

/** Calls inside one another, of functions and contracts. */
export const CALL_DEPTH_MAX = 1_000;
/**
 * Steps of the host's own stack that calls inside one another may take together; a call takes as
 * many as it lies deep in its function (statements and operators around it). Keeps every machine's
 * stack far from its end, so that all nodes agree on where a recursion stops.
 */
export const CALL_LEVELS_MAX = 6_000;
/** Highest index that may be written. */
export const ARRAY_INDEX_MAX = 1_000_000;
export const MAP_ENTRIES_MAX = 100_000;
/** Nesting of values that are turned into text, JSON or compared. */
export const VALUE_DEPTH_MAX = 100;
/** Bytes of the result's text. */
export const RESULT_BYTES_MAX = 255;
/** Bytes of the text in an error object. */
export const ERROR_BYTES_MAX = 150;

/** Fuel of a call of a script function, and of a contract on top of it. */
export const FUEL_CALL = 50;
export const FUEL_CONTRACT = 100;
/** Extra fuel for reading a `$` variable. */
export const FUEL_EXTERN = 10;
/** Bytes a built-in may go over for one unit of fuel. */
export const FUEL_BYTES = 64;
/** Elements copied or visited for one unit of fuel. */
export const FUEL_ELEMENTS = 8;

export const DEFAULT_FUEL = 20_000_000;
export const DEFAULT_MEMORY_BYTES = 128 * 1024 * 1024;

/** Bytes accounted for what a run allocates, an upper bound of what it takes in practice. */
export const MEMORY_TEXT = 16;
export const MEMORY_TEXT_UNIT = 2;
export const MEMORY_CONTAINER = 64;
export const MEMORY_ELEMENT = 16;
export const MEMORY_ENTRY = 64;
export const MEMORY_NUMBER = 24;
export const MEMORY_VARIABLE = 8;
