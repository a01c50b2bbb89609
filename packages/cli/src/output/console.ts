/** Where a command writes: text for people, one JSON document for programs. */
import Table from "cli-table3";
import pc from "picocolors";

export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Console {
  /** Whether the caller asked for JSON; nothing but the final document goes to standard output then. */
  readonly json: boolean;
  /** Whether a person looks at a terminal that can be redrawn. */
  readonly interactive: boolean;
  readonly paint: ReturnType<typeof pc.createColors>;
  /** A line for people; silent with `--json`. */
  line(text?: string): void;
  /** A line for people on standard error (progress, warnings). */
  note(text: string): void;
  /** The result: JSON with `--json`, otherwise what `human` prints. */
  result(value: unknown, human: () => void): void;
  table(head: readonly string[], rows: readonly (readonly string[])[]): void;
  readonly stdout: Sink;
  readonly stderr: Sink;
}

/** Bytes become hex, big integers decimal text; everything else as JSON has it. */
export function toJson(value: unknown, indent = 2): string {
  return JSON.stringify(
    value,
    (_key, item) => {
      if (typeof item === "bigint") return item.toString();
      if (item instanceof Uint8Array) return Buffer.from(item).toString("hex");
      if (item instanceof Map) return Object.fromEntries(item);
      return item;
    },
    indent,
  );
}

export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  paint: Console["paint"],
): string {
  const table = new Table({
    head: head.map((title) => paint.bold(title)),
    style: { head: [], border: [], compact: true, "padding-left": 0, "padding-right": 2 },
    chars: {
      top: "",
      "top-mid": "",
      "top-left": "",
      "top-right": "",
      bottom: "",
      "bottom-mid": "",
      "bottom-left": "",
      "bottom-right": "",
      left: "",
      "left-mid": "",
      mid: "",
      "mid-mid": "",
      right: "",
      "right-mid": "",
      middle: "",
    },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

export function createConsole(options: {
  readonly json: boolean;
  readonly stdout?: Sink;
  readonly stderr?: Sink;
  readonly colors?: boolean;
}): Console {
  const stdout = options.stdout ?? process.stdout;
  const stderr = options.stderr ?? process.stderr;
  const interactive = !options.json && stdout.isTTY === true && process.env.TERM !== "dumb";
  const paint = pc.createColors(options.colors ?? (interactive && pc.isColorSupported));
  const line = (text = "") => {
    if (!options.json) stdout.write(`${text}\n`);
  };
  return {
    json: options.json,
    interactive,
    paint,
    stdout,
    stderr,
    line,
    note: (text) => void stderr.write(`${text}\n`),
    result(value, human) {
      if (options.json) stdout.write(`${toJson(value)}\n`);
      else human();
    },
    table: (head, rows) => line(renderTable(head, rows, paint)),
  };
}
