/**
 * What a transaction of an engine is likely to burn, so that a draft seldom runs out of the block's
 * fuel: a moving mean over blocks. A guess of the builder alone; no rule depends on it.
 */
export interface FuelEstimate {
  of(engine: string): number;
  record(engine: string, fuelUsed: bigint): void;
}

const KEEP = 0.999;

export function createFuelEstimate(): FuelEstimate {
  const means = new Map<string, number>();
  return {
    of: (engine) => means.get(engine) ?? 0,
    record(engine, fuelUsed) {
      const mean = means.get(engine) ?? Number(fuelUsed);
      means.set(engine, mean * KEEP + Number(fuelUsed) * (1 - KEEP));
    },
  };
}
