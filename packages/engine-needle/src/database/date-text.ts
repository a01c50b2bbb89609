/** `YYYY-MM-DD HH:MM:SS` in UTC and back, without the host's calendar (proleptic Gregorian). */

const PATTERN =
  /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3})\d*)?)?Z?)?$/;

/** Days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms"). */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function civilFromDays(days: number): readonly [number, number, number] {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day];
}

const two = (number: number) => String(number).padStart(2, "0");

/** Text of a time in milliseconds since 1970; a fraction only when there is one. */
export function dateText(ms: bigint): string {
  let seconds = ms / 1000n;
  let fraction = Number(ms % 1000n);
  if (fraction < 0) {
    fraction += 1000;
    seconds -= 1n;
  }
  const total = Number(seconds);
  const days = Math.floor(total / 86_400);
  const rest = total - days * 86_400;
  const [year, month, day] = civilFromDays(days);
  const clock = `${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`;
  const tail = fraction === 0 ? "" : `.${String(fraction).padStart(3, "0").replace(/0+$/, "")}`;
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)} ${clock}${tail}`;
}

/** Milliseconds of a text of that form, undefined when it is no date. */
export function dateValue(text: string): bigint | undefined {
  const match = PATTERN.exec(text.trim());
  if (match === null) return undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const [hour, minute, second] = [
    Number(match[4] ?? 0),
    Number(match[5] ?? 0),
    Number(match[6] ?? 0),
  ];
  if (hour > 23 || minute > 59 || second > 59 || month < 1 || month > 12 || day < 1) {
    return undefined;
  }
  const days = daysFromCivil(year, month, day);
  const [backYear, backMonth, backDay] = civilFromDays(days);
  if (backYear !== year || backMonth !== month || backDay !== day) return undefined;
  const fraction = BigInt((match[7] ?? "").padEnd(3, "0"));
  return BigInt(days * 86_400 + hour * 3600 + minute * 60 + second) * 1000n + fraction;
}
