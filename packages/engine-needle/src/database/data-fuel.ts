/**
 * Fuel of data, on top of the price of the built-in. Prices follow what the work costs a node in
 * the worst case, when no row is in memory: a look-up is one round trip to the database, a search
 * one statement. They must be the same on every node, so that memory never makes them cheaper.
 */

/** Reading or writing one row by its key. */
export const FUEL_KEY = 1_000;
/** One search or count. */
export const FUEL_SEARCH = 10_000;
/** Each row that a search returns, an aggregate goes over, or a list in a where-map names. */
export const FUEL_ROW = 50;
/** Characters or bytes of written values for one unit. */
export const SIZE_PER_FUEL = 64;
