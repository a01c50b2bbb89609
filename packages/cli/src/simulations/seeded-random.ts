/** Numbers that follow from a seed alone, with operations that every machine does alike. */
export interface SeededRandom {
  /** 0 <= x < 1, a multiple of 2^-32. */
  next(): number;
  /** 0 <= i < n. */
  below(n: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** Another stream, independent of how far this one is used. */
  fork(name: string): SeededRandom;
}

/** sfc32 (Chris Doty-Humphrey, PractRand), its state filled by FNV-1a over seed and name. */
export function createSeededRandom(seed: number, name = ""): SeededRandom {
  let hash = 0x811c9dc5;
  const mix = (byte: number) => {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  };
  for (const char of `${seed}/${name}`) mix(char.codePointAt(0)! & 0xff);
  let a = hash;
  mix(1);
  let b = hash;
  mix(2);
  let c = hash;
  let counter = 1;
  const next32 = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 16; i++) next32();
  const next = () => next32() / 0x1_0000_0000;
  return {
    next,
    below: (n) => Math.floor(next() * n),
    chance: (probability) => next() < probability,
    fork: (child) => createSeededRandom(seed, `${name}/${child}`),
  };
}
