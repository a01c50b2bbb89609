/** The Gregorian calendar, in seconds since 1970-01-01 00:00:00 UTC. */
import { panic } from "../runtime/fault.ts";

export interface DateParts {
  /** May be negative or beyond 9999. */
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

/** Seconds. */
export const DAY = 86_400;
/** Years that dates are shown for. */
export const YEAR_MAX = 200_000;

export function floorDiv(a: number, b: number): number {
  return Math.floor(a / b);
}

/**
 * Days since 1970-01-01 of a date of the Gregorian calendar; counts in years that begin in March,
 * so that the leap day comes last (the method of H. Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms").
 */
export function daysOf(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = floorDiv(shifted, 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = floorDiv(153 * (month + (month > 2 ? -3 : 9)) + 2, 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + floorDiv(yearOfEra, 4) - floorDiv(yearOfEra, 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** The parts of a time in seconds since 1970. */
export function dateOf(unix: bigint): DateParts {
  const limit = BigInt(YEAR_MAX) * 31_556_952n;
  if (unix > limit || unix < -limit) {
    throw panic("NEEDLE_DATE", `${unix} is too far away for a date: seconds since 1970 expected`);
  }
  const seconds = Number(unix);
  const days = floorDiv(seconds, DAY);
  const rest = seconds - days * DAY;
  const shifted = days + 719_468;
  const era = floorDiv(shifted, 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = floorDiv(
    dayOfEra - floorDiv(dayOfEra, 1_460) + floorDiv(dayOfEra, 36_524) - floorDiv(dayOfEra, 146_096),
    365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + floorDiv(yearOfEra, 4) - floorDiv(yearOfEra, 100));
  const shiftedMonth = floorDiv(5 * dayOfYear + 2, 153);
  const month = shiftedMonth + (shiftedMonth < 10 ? 3 : -9);
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - floorDiv(153 * shiftedMonth + 2, 5) + 1,
    hour: floorDiv(rest, 3_600),
    minute: floorDiv(rest % 3_600, 60),
    second: rest % 60,
  };
}

export function secondsOf(parts: DateParts): bigint {
  const days = daysOf(parts.year, parts.month, parts.day);
  return BigInt(days * DAY + parts.hour * 3_600 + parts.minute * 60 + parts.second);
}

export function daysInMonth(year: number, month: number): number {
  return month === 12 ? 31 : daysOf(year, month + 1, 1) - daysOf(year, month, 1);
}
