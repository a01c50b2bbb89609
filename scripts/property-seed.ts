/**
 * Loaded before every test file: property tests draw the same values in each run, so that a
 * failure is of the change under test. `HANSE_PROPERTY_SEED=random` explores others, a number
 * repeats a run (fast-check prints the seed of a failure).
 */
import process from "node:process";
import { configureGlobal } from "fast-check";

const DEFAULT_SEED = 20_261_120;
const wanted = process.env.HANSE_PROPERTY_SEED ?? String(DEFAULT_SEED);
if (wanted !== "random") {
  const seed = Number(wanted);
  if (!Number.isInteger(seed)) {
    throw new Error(`HANSE_PROPERTY_SEED: "${wanted}" is neither "random" nor a whole number`);
  }
  configureGlobal({ seed });
}
