/** Built-ins about time. Everything is UTC: no node's own time zone has a say. */
import { panic } from "../runtime/fault.ts";
import { shorten } from "../values/convert.ts";
import { type Builtin, builtin, parameter as p } from "./builtin.ts";
import {
  DAY,
  type DateParts,
  dateOf,
  daysInMonth,
  floorDiv,
  secondsOf,
  YEAR_MAX,
} from "./calendar.ts";
import { formatLayout } from "./date-layout.ts";
import { newText } from "./values.ts";

const STANDARD = "2006-01-02 15:04:05";

/** `YYYY-MM-DD HH:MM:SS`; undefined when the text is no such time. */
function parseStandard(text: string): DateParts | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  return { year, month, day, hour, minute, second };
}

/**
 * Seconds east of UTC of a zone. Only zones with fixed offset exist: rules of summer time are laws
 * that change, and nodes would change them on different days.
 */
function offsetOf(zone: string): number {
  if (["", "UTC", "GMT", "Local", "Etc/UTC", "Etc/GMT", "Z", "Zulu"].includes(zone)) return 0;
  // POSIX counts these westwards.
  const match = /^Etc\/GMT([+-])(\d{1,2})$/.exec(zone);
  const hours = match === null ? Number.NaN : Number(match[2]);
  if (match !== null && hours <= 14) return (match[1] === "+" ? -1 : 1) * hours * 3_600;
  throw panic(
    "NEEDLE_ZONE",
    `Load location: no zone ${shorten(zone)}; there are UTC and Etc/GMT-14 to Etc/GMT+12`,
  );
}

function addDate(unix: bigint, years: bigint, months: bigint, days: bigint): bigint {
  const span = BigInt(YEAR_MAX) * 366n;
  for (const amount of [years, months, days]) {
    if (amount > span || amount < -span) throw panic("NEEDLE_DATE", "interval is too long");
  }
  const parts = dateOf(unix);
  const monthCount = parts.year * 12 + parts.month - 1 + Number(years) * 12 + Number(months);
  const year = floorDiv(monthCount, 12);
  // A day beyond the month's end runs on into the next month.
  const first = { ...parts, year, month: monthCount - year * 12 + 1, day: 1 };
  return secondsOf(first) + BigInt(parts.day - 1 + Number(days)) * BigInt(DAY);
}

const unix = p("unix", "int");
const layout = p("layout", "string");

export const DATE_BUILTINS: readonly Builtin[] = [
  builtin("BlockTime", [], "string", "Time of the block, YYYY-MM-DD HH:MM:SS.", {}, (run) =>
    newText(run, formatLayout(STANDARD, dateOf(run.system.timeMs / 1_000n), 0)),
  ),
  builtin("DateTime", [unix], "string", "Text of a time, YYYY-MM-DD HH:MM:SS.", {}, (run, time) =>
    newText(run, formatLayout(STANDARD, dateOf(time), 0)),
  ),
  builtin(
    "UnixDateTime",
    [p("text", "string")],
    "int",
    "Seconds since 1970 of YYYY-MM-DD HH:MM:SS; 0 for any other text.",
    {},
    (_, text) => {
      const parts = parseStandard(text);
      return parts === undefined ? 0n : secondsOf(parts);
    },
  ),
  builtin(
    "DateTimeLocation",
    [unix, p("zone", "string")],
    "string",
    "Text of a time in a zone of fixed offset.",
    {},
    (run, time, zone) => {
      const offset = offsetOf(zone);
      return newText(run, formatLayout(STANDARD, dateOf(time + BigInt(offset)), offset));
    },
  ),
  builtin(
    "UnixDateTimeLocation",
    [p("text", "string"), p("zone", "string")],
    "int",
    "Seconds since 1970 of a time in a zone of fixed offset.",
    {},
    (_, text, zone) => {
      const offset = offsetOf(zone);
      const parts = parseStandard(text);
      if (parts === undefined) {
        throw panic("NEEDLE_DATE", `Parse time: ${shorten(text)} is not YYYY-MM-DD HH:MM:SS`);
      }
      return secondsOf(parts) - BigInt(offset);
    },
  ),
  builtin(
    "DateFormat",
    [layout, unix],
    "string",
    "Text of a time in a layout that shows the reference time 2006-01-02 15:04:05.",
    {},
    (run, text, time) => newText(run, formatLayout(text, dateOf(time), 0)),
  ),
  builtin("Date", [layout, unix], "string", "The same as DateFormat.", {}, (run, text, time) =>
    newText(run, formatLayout(text, dateOf(time), 0)),
  ),
  builtin(
    "AddDate",
    [unix, p("years", "int"), p("months", "int"), p("days", "int")],
    "int",
    "Time with years, months and days added, by the calendar.",
    {},
    (_, time, years, months, days) => addDate(time, years, months, days),
  ),
];
