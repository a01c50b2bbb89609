/** Dates by layouts that show how the reference time Mon Jan 2 15:04:05 2006 -0700 would look. */
import { type DateParts, daysOf } from "./calendar.ts";

const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

function two(value: number, filler = "0"): string {
  return String(value).padStart(2, filler);
}

function zone(offset: number, separator: string, z: boolean, minutes = true): string {
  if (z && offset === 0) return "Z";
  const size = Math.abs(offset) / 60;
  const hours = two(Math.floor(size / 60));
  const rest = minutes ? separator + two(size % 60) : "";
  return `${offset < 0 ? "-" : "+"}${hours}${rest}`;
}

function yearText(year: number): string {
  return `${year < 0 ? "-" : ""}${String(Math.abs(year)).padStart(4, "0")}`;
}

interface Moment extends DateParts {
  readonly weekday: string;
  readonly dayOfYear: number;
  /** Seconds east of UTC. */
  readonly offset: number;
}

/** What stands in a layout and what it becomes; of two that fit the first is taken. */
const ELEMENTS: readonly (readonly [string, (at: Moment) => string])[] = [
  ["January", (at) => MONTHS[at.month - 1]!],
  ["Jan", (at) => MONTHS[at.month - 1]!.slice(0, 3)],
  ["Monday", (at) => at.weekday],
  ["Mon", (at) => at.weekday.slice(0, 3)],
  ["MST", (at) => (at.offset === 0 ? "UTC" : zone(at.offset, "", false, at.offset % 3_600 !== 0))],
  ["2006", (at) => yearText(at.year)],
  ["002", (at) => String(at.dayOfYear).padStart(3, "0")],
  ["01", (at) => two(at.month)],
  ["02", (at) => two(at.day)],
  ["03", (at) => two(((at.hour + 11) % 12) + 1)],
  ["04", (at) => two(at.minute)],
  ["05", (at) => two(at.second)],
  ["06", (at) => two(((at.year % 100) + 100) % 100)],
  ["15", (at) => two(at.hour)],
  ["1", (at) => String(at.month)],
  ["__2", (at) => String(at.dayOfYear).padStart(3, " ")],
  ["_2", (at) => two(at.day, " ")],
  ["2", (at) => String(at.day)],
  ["3", (at) => String(((at.hour + 11) % 12) + 1)],
  ["4", (at) => String(at.minute)],
  ["5", (at) => String(at.second)],
  ["PM", (at) => (at.hour >= 12 ? "PM" : "AM")],
  ["pm", (at) => (at.hour >= 12 ? "pm" : "am")],
  ["Z07:00", (at) => zone(at.offset, ":", true)],
  ["Z0700", (at) => zone(at.offset, "", true)],
  ["Z07", (at) => zone(at.offset, "", true, false)],
  ["-07:00", (at) => zone(at.offset, ":", false)],
  ["-0700", (at) => zone(at.offset, "", false)],
  ["-07", (at) => zone(at.offset, "", false, false)],
];

/** Fractions of a second: `.000` shows so many zeros, `.999` nothing when they are zero. */
function fractionAt(layout: string, at: number): string | undefined {
  const match = /^[.,](0+|9+)(?![0-9])/.exec(layout.slice(at, at + 12));
  return match === null ? undefined : match[0];
}

/** `parts` are those of the zone `offset` seconds east of UTC. */
export function formatLayout(layout: string, parts: DateParts, offset: number): string {
  const days = daysOf(parts.year, parts.month, parts.day);
  const moment: Moment = {
    ...parts,
    offset,
    weekday: DAYS[(((days + 4) % 7) + 7) % 7]!,
    dayOfYear: days - daysOf(parts.year, 1, 1) + 1,
  };
  let text = "";
  let at = 0;
  while (at < layout.length) {
    const fraction = fractionAt(layout, at);
    if (fraction !== undefined) {
      text += fraction.includes("0") ? fraction : "";
      at += fraction.length;
      continue;
    }
    const element = ELEMENTS.find(([shown]) => layout.startsWith(shown, at));
    // `_2006` is an underscore and a year.
    if (element === undefined || (element[0] === "_2" && layout.startsWith("_2006", at))) {
      text += layout[at];
      at += 1;
    } else if (/^(Jan|Mon)$/.test(element[0]) && /[a-z]/.test(layout[at + 3] ?? "")) {
      // A longer word that only begins like a month or day.
      text += element[0];
      at += 3;
    } else {
      text += element[1](moment);
      at += element[0].length;
    }
  }
  return text;
}
