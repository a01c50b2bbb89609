/**
 * Logarithm and power to base 2 in whole numbers, by table and straight lines between its knots:
 * every machine and every language gets the same figures. Off by less than 0.0001 of the true value.
 */

/** One unit of a fixed logarithm: 2^20 is the logarithm of 2. */
export const FIXED_ONE = 1_048_576;
const KNOTS = 64;

/** log2(1 + i/64) in units of 1 / FIXED_ONE. */
// biome-ignore format: a table
const LOG2: readonly number[] = [
  0, 23_454, 46_551, 69_300, 91_711, 113_796, 135_563, 157_021, 178_179, 199_045, 219_628,
  239_934, 259_971, 279_746, 299_266, 318_537, 337_566, 356_359, 374_920, 393_257, 411_375,
  429_278, 446_971, 464_460, 481_749, 498_843, 515_745, 532_461, 548_995, 565_349, 581_529,
  597_537, 613_378, 629_054, 644_570, 659_928, 675_132, 690_185, 705_089, 719_848, 734_464,
  748_941, 763_280, 777_484, 791_557, 805_500, 819_315, 833_005, 846_573, 860_020, 873_348,
  886_561, 899_658, 912_644, 925_518, 938_284, 950_944, 963_498, 975_949, 988_298, 1_000_547,
  1_012_698, 1_024_752, 1_036_711, 1_048_576,
];

/** 2^(i/64) in units of 1 / FIXED_ONE. */
// biome-ignore format: a table
const POWER: readonly number[] = [
  1_048_576, 1_059_994, 1_071_537, 1_083_205, 1_095_000, 1_106_924, 1_118_978, 1_131_163,
  1_143_480, 1_155_932, 1_168_519, 1_181_244, 1_194_106, 1_207_109, 1_220_254, 1_233_542,
  1_246_974, 1_260_553, 1_274_279, 1_288_155, 1_302_182, 1_316_362, 1_330_696, 1_345_187,
  1_359_835, 1_374_642, 1_389_611, 1_404_743, 1_420_040, 1_435_503, 1_451_135, 1_466_937,
  1_482_910, 1_499_058, 1_515_382, 1_531_883, 1_548_564, 1_565_427, 1_582_474, 1_599_706,
  1_617_125, 1_634_735, 1_652_536, 1_670_531, 1_688_722, 1_707_110, 1_725_700, 1_744_491,
  1_763_488, 1_782_691, 1_802_103, 1_821_727, 1_841_564, 1_861_617, 1_881_889, 1_902_381,
  1_923_097, 1_944_038, 1_965_207, 1_986_607, 2_008_240, 2_030_108, 2_052_214, 2_074_562,
  2_097_152,
];

/** The value at `place` of `range` parts between two knots. */
function between(table: readonly number[], knot: number, place: number, range: number): number {
  const low = table[knot]!;
  const high = table[Math.min(knot + 1, KNOTS)]!;
  return low + Math.floor(((high - low) * place) / range);
}

/** log2(x) · FIXED_ONE for a whole number from 1 to 2^40. */
export function fixedLog2(x: number): number {
  let exponent = 0;
  let power = 1;
  while (power * 2 <= x) {
    power *= 2;
    exponent++;
  }
  const above = (x - power) * KNOTS;
  const knot = Math.floor(above / power);
  return exponent * FIXED_ONE + between(LOG2, knot, above - knot * power, power);
}

/** 2^(y / FIXED_ONE), rounded down to a whole number; `y` from 0 to 40 · FIXED_ONE. */
export function fixedPower(y: number): number {
  const exponent = Math.floor(y / FIXED_ONE);
  const above = (y - exponent * FIXED_ONE) * KNOTS;
  const knot = Math.floor(above / FIXED_ONE);
  const mantissa = between(POWER, knot, above - knot * FIXED_ONE, FIXED_ONE);
  return Math.floor((mantissa * 2 ** exponent) / FIXED_ONE);
}
