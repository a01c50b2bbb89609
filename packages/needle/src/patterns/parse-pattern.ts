/**
 * Regular expressions in the syntax of RE2, as far as a match can be told without sub-matches,
 * compiled to the states of a non-deterministic automaton (Thompson's construction, "Regular
 * Expression Search Algorithm", CACM 11:6, 1968). Classes of Unicode properties (`\p{…}`) are
 * refused: their tables change with the Unicode version.
 */

/** Longest pattern in characters, most states it may need, highest count of `{n,m}`. */
export const PATTERN_CHARS_MAX = 1_000;
export const PATTERN_STATES_MAX = 5_000;
const REPEAT_MAX = 1_000;
const DEPTH_MAX = 100;

export type Assertion = "begin" | "end" | "lineBegin" | "lineEnd" | "word" | "notWord";

/** One state: takes a character of a set, checks the place, or goes on to others. */
export type State =
  | { readonly kind: "set"; readonly ranges: readonly number[]; next: number }
  | { readonly kind: "assert"; readonly what: Assertion; next: number }
  | { readonly kind: "split"; next: number; other: number }
  | { readonly kind: "match" };

export interface Pattern {
  readonly states: readonly State[];
  readonly start: number;
}

type Node =
  | { readonly kind: "set"; readonly ranges: readonly number[] }
  | { readonly kind: "assert"; readonly what: Assertion }
  | { readonly kind: "sequence"; readonly items: readonly Node[] }
  | { readonly kind: "choice"; readonly items: readonly Node[] }
  | { readonly kind: "repeat"; readonly item: Node; readonly least: number; readonly most: number };

interface Flags {
  readonly fold: boolean;
  readonly multiline: boolean;
  readonly dotAll: boolean;
}

const LAST = 0x10ffff;
const DIGIT = [48, 57];
const WORD = [48, 57, 65, 90, 95, 95, 97, 122];
const SPACE = [9, 10, 12, 13, 32, 32];
const POSIX: ReadonlyMap<string, readonly number[]> = new Map([
  ["alnum", [48, 57, 65, 90, 97, 122]],
  ["alpha", [65, 90, 97, 122]],
  ["ascii", [0, 127]],
  ["blank", [9, 9, 32, 32]],
  ["cntrl", [0, 31, 127, 127]],
  ["digit", DIGIT],
  ["graph", [33, 126]],
  ["lower", [97, 122]],
  ["print", [32, 126]],
  ["punct", [33, 47, 58, 64, 91, 96, 123, 126]],
  ["space", [9, 13, 32, 32]],
  ["upper", [65, 90]],
  ["word", WORD],
  ["xdigit", [48, 57, 65, 70, 97, 102]],
]);

/** Pairs of first and last, sorted and joined. */
function normalise(ranges: readonly number[]): number[] {
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i]!, ranges[i + 1]!]);
  pairs.sort((a, b) => a[0] - b[0]);
  const joined: number[] = [];
  for (const [from, to] of pairs) {
    const last = joined.length - 1;
    if (last > 0 && from <= joined[last]! + 1) joined[last] = Math.max(joined[last]!, to);
    else joined.push(from, to);
  }
  return joined;
}

function negated(ranges: readonly number[]): number[] {
  const result: number[] = [];
  let from = 0;
  const sorted = normalise(ranges);
  for (let i = 0; i < sorted.length; i += 2) {
    if (sorted[i]! > from) result.push(from, sorted[i]! - 1);
    from = sorted[i + 1]! + 1;
  }
  if (from <= LAST) result.push(from, LAST);
  return result;
}

/** Adds the other case of ASCII letters. */
function folded(ranges: readonly number[]): number[] {
  const result = [...ranges];
  for (let i = 0; i < ranges.length; i += 2) {
    const from = ranges[i]!;
    const to = ranges[i + 1]!;
    for (const [low, high, shift] of [
      [65, 90, 32],
      [97, 122, -32],
    ] as const) {
      const first = Math.max(from, low);
      const last = Math.min(to, high);
      if (first <= last) result.push(first + shift, last + shift);
    }
  }
  return normalise(result);
}

class PatternParser {
  readonly #chars: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(pattern: string) {
    this.#chars = Array.from(pattern);
    if (this.#chars.length > PATTERN_CHARS_MAX) {
      this.#fail(`pattern is longer than ${PATTERN_CHARS_MAX} characters`);
    }
  }

  #fail(message: string): never {
    throw new SyntaxError(message);
  }

  parse(): Node {
    const node = this.#choice({ fold: false, multiline: false, dotAll: false });
    if (this.#at < this.#chars.length) this.#fail("unexpected )");
    return node;
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #takes(text: string): boolean {
    const sign = Array.from(text);
    if (!sign.every((char, i) => this.#chars[this.#at + i] === char)) return false;
    this.#at += sign.length;
    return true;
  }

  #choice(given: Flags): Node {
    if (++this.#depth > DEPTH_MAX) this.#fail(`nested deeper than ${DEPTH_MAX} groups`);
    let flags = given;
    const items: Node[] = [];
    let sequence: Node[] = [];
    for (;;) {
      const sign = this.#peek();
      if (sign === undefined || sign === ")") break;
      if (sign === "|") {
        this.#at += 1;
        items.push({ kind: "sequence", items: sequence });
        sequence = [];
        continue;
      }
      if (sign === "(") {
        const group = this.#group(flags);
        if ("flags" in group) flags = group.flags;
        else sequence.push(this.#repeated(group.node));
      } else sequence.push(this.#repeated(this.#atom(flags)));
    }
    items.push({ kind: "sequence", items: sequence });
    this.#depth -= 1;
    return items.length === 1 ? items[0]! : { kind: "choice", items };
  }

  /** `(…)`, `(?:…)`, `(?P<name>…)`, `(?i-s:…)`, or `(?i)`, which changes what follows. */
  #group(given: Flags): { readonly node: Node } | { readonly flags: Flags } {
    this.#at += 1;
    let flags = given;
    if (this.#takes("?")) {
      if (this.#takes("P<") || this.#takes("<")) {
        while (this.#peek() !== ">") {
          if (!/^\w$/.test(this.#peek() ?? "")) this.#fail("invalid named capture");
          this.#at += 1;
        }
        this.#at += 1;
      } else {
        let on = true;
        while (!this.#takes(":")) {
          const sign = this.#chars[this.#at++];
          if (sign === ")") return { flags };
          if (sign === "-") on = false;
          else if (sign === "i") flags = { ...flags, fold: on };
          else if (sign === "m") flags = { ...flags, multiline: on };
          else if (sign === "s") flags = { ...flags, dotAll: on };
          else if (sign !== "U") this.#fail("invalid or unsupported Perl syntax");
        }
      }
    }
    const node = this.#choice(flags);
    if (!this.#takes(")")) this.#fail("missing closing )");
    return { node };
  }

  #repeated(atom: Node): Node {
    let node = atom;
    for (let times = 0; ; times++) {
      const sign = this.#peek();
      let least: number;
      let most: number;
      if (sign === "*") [least, most] = [0, Number.POSITIVE_INFINITY];
      else if (sign === "+") [least, most] = [1, Number.POSITIVE_INFINITY];
      else if (sign === "?") [least, most] = [0, 1];
      else if (sign === "{") {
        const counts = this.#counts();
        if (counts === undefined) return node;
        [least, most] = counts;
        this.#at -= 1;
      } else return node;
      if (times > 0) this.#fail("invalid nested repetition operator");
      this.#at += 1;
      // A lazy repetition matches in the same texts.
      this.#takes("?");
      node = { kind: "repeat", item: node, least, most };
    }
  }

  /** `{2}`, `{2,}`, `{2,5}`; any other brace is a character. Leaves the last sign unread. */
  #counts(): readonly [number, number] | undefined {
    const rest = this.#chars.slice(this.#at, this.#at + 12).join("");
    const match = /^\{([0-9]{1,4})(,([0-9]{0,4}))?\}/.exec(rest);
    if (match === null) {
      // Taken as a character by the caller's next atom.
      return undefined;
    }
    const least = Number(match[1]);
    const most =
      match[2] === undefined
        ? least
        : match[3] === ""
          ? Number.POSITIVE_INFINITY
          : Number(match[3]);
    const bounded = most === Number.POSITIVE_INFINITY ? least : most;
    if (least > REPEAT_MAX || bounded > REPEAT_MAX || most < least) {
      this.#fail(`invalid repeat count: ${match[0]}`);
    }
    this.#at += match[0].length;
    return [least, most];
  }

  #set(ranges: readonly number[], flags: Flags): Node {
    return { kind: "set", ranges: flags.fold ? folded(ranges) : ranges };
  }

  #atom(flags: Flags): Node {
    const sign = this.#chars[this.#at++]!;
    switch (sign) {
      case ".":
        return { kind: "set", ranges: flags.dotAll ? [0, LAST] : [0, 9, 11, LAST] };
      case "^":
        return { kind: "assert", what: flags.multiline ? "lineBegin" : "begin" };
      case "$":
        return { kind: "assert", what: flags.multiline ? "lineEnd" : "end" };
      case "[":
        return this.#set(this.#bracket(flags), { ...flags, fold: false });
      case "*":
      case "+":
      case "?":
        return this.#fail(`missing argument to repetition operator: ${sign}`);
      case "\\":
        return this.#escapedAtom(flags);
      default: {
        const code = sign.codePointAt(0)!;
        return this.#set([code, code], flags);
      }
    }
  }

  #escapedAtom(flags: Flags): Node {
    const sign = this.#peek();
    const places: { readonly [sign: string]: Assertion } = {
      A: "begin",
      z: "end",
      b: "word",
      B: "notWord",
    };
    const place = sign !== undefined && "AzbB".includes(sign) ? places[sign] : undefined;
    if (place !== undefined) {
      this.#at += 1;
      return { kind: "assert", what: place };
    }
    if (sign === "Q") return this.#quoted(flags);
    return this.#set(this.#escape(), flags);
  }

  /** `\Q…\E`: as it stands. */
  #quoted(flags: Flags): Node {
    this.#at += 1;
    const items: Node[] = [];
    while (this.#at < this.#chars.length && !this.#takes("\\E")) {
      const code = this.#chars[this.#at++]!.codePointAt(0)!;
      items.push(this.#set([code, code], flags));
    }
    return { kind: "sequence", items };
  }

  /** What stands behind a backslash, as a set. */
  #escape(): readonly number[] {
    const sign = this.#chars[this.#at++];
    const one = (code: number) => [code, code];
    switch (sign) {
      case undefined:
        return this.#fail("trailing backslash at end of expression");
      case "d":
        return DIGIT;
      case "D":
        return negated(DIGIT);
      case "w":
        return WORD;
      case "W":
        return negated(WORD);
      case "s":
        return SPACE;
      case "S":
        return negated(SPACE);
      case "n":
        return one(10);
      case "r":
        return one(13);
      case "t":
        return one(9);
      case "f":
        return one(12);
      case "v":
        return one(11);
      case "a":
        return one(7);
      case "x":
        return one(this.#hexadecimal());
      case "p":
      case "P":
        return this.#fail("classes of Unicode properties are not available");
    }
    const octal = /^[0-7]{1,3}/.exec(this.#chars.slice(this.#at - 1, this.#at + 2).join(""));
    if (octal !== null && (octal[0].length > 1 || sign === "0")) {
      this.#at += octal[0].length - 1;
      return one(Number.parseInt(octal[0], 8));
    }
    const code = sign.codePointAt(0)!;
    if (code < 128 && !/^\w$/.test(sign)) return one(code);
    return this.#fail(`invalid escape sequence: \\${sign}`);
  }

  #hexadecimal(): number {
    const rest = this.#chars.slice(this.#at, this.#at + 10).join("");
    const match = /^(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})/.exec(rest);
    const code = match === null ? LAST + 1 : Number.parseInt(match[1] ?? match[2]!, 16);
    if (code > LAST) this.#fail("invalid escape sequence: \\x");
    this.#at += match![0].length;
    return code;
  }

  /** The inside of `[…]`. */
  #bracket(flags: Flags): readonly number[] {
    const negate = this.#takes("^");
    const ranges: number[] = [];
    let first = true;
    while (first || this.#peek() !== "]") {
      if (this.#peek() === undefined) this.#fail("missing closing ]");
      first = false;
      const named = this.#namedClass();
      if (named !== undefined) {
        ranges.push(...named);
        continue;
      }
      const from = this.#bracketChar();
      const ranged = this.#peek() === "-" && (this.#chars[this.#at + 1] ?? "]") !== "]";
      if (from.length !== 2 || from[0] !== from[1] || !ranged) {
        ranges.push(...from);
        continue;
      }
      this.#at += 1;
      const to = this.#bracketChar();
      if (to.length !== 2 || to[0] !== to[1] || to[0]! < from[0]!) {
        this.#fail("invalid character class range");
      }
      ranges.push(from[0]!, to[0]!);
    }
    this.#at += 1;
    const all = flags.fold ? folded(ranges) : normalise(ranges);
    return negate ? negated(all) : all;
  }

  /** `[:alpha:]`, `[:^alpha:]`. */
  #namedClass(): readonly number[] | undefined {
    const match = /^\[:(\^?)([a-z]{1,8}):\]/.exec(
      this.#chars.slice(this.#at, this.#at + 14).join(""),
    );
    if (match === null) return undefined;
    const ranges = POSIX.get(match[2]!);
    if (ranges === undefined) this.#fail(`invalid character class range: ${match[0]}`);
    this.#at += match[0].length;
    return match[1] === "^" ? negated(ranges) : ranges;
  }

  #bracketChar(): readonly number[] {
    const sign = this.#chars[this.#at++];
    if (sign === undefined) return this.#fail("missing closing ]");
    if (sign === "\\") return this.#escape();
    const code = sign.codePointAt(0)!;
    return [code, code];
  }
}

class StateBuilder {
  readonly states: State[] = [];
  /** Nodes visited: empty groups need no state but time. */
  #visits = 0;

  add(state: State): number {
    if (this.states.length >= PATTERN_STATES_MAX) {
      throw new SyntaxError("expression is too large: repetition counts multiply");
    }
    this.states.push(state);
    return this.states.length - 1;
  }

  /** States for a node that go on at `next`; gives the first one. Built from the end. */
  build(node: Node, next: number): number {
    if (++this.#visits > 4 * PATTERN_STATES_MAX) {
      throw new SyntaxError("expression is too large: repetition counts multiply");
    }
    switch (node.kind) {
      case "set":
        return this.add({ kind: "set", ranges: node.ranges, next });
      case "assert":
        return this.add({ kind: "assert", what: node.what, next });
      case "sequence":
        return node.items.reduceRight((after, item) => this.build(item, after), next);
      case "choice": {
        const starts = node.items.map((item) => this.build(item, next));
        return starts.reduceRight((other, first) =>
          this.add({ kind: "split", next: first, other }),
        );
      }
      case "repeat":
        return this.#repeat(node, next);
    }
  }

  #repeat(node: Node & { kind: "repeat" }, next: number): number {
    let start = next;
    if (node.most === Number.POSITIVE_INFINITY) {
      const loop = { kind: "split" as const, next, other: next };
      start = this.add(loop);
      loop.next = this.build(node.item, start);
    } else {
      for (let i = node.least; i < node.most; i++) {
        const item = this.build(node.item, start);
        start = this.add({ kind: "split", next: item, other: next });
      }
    }
    for (let i = 0; i < node.least; i++) start = this.build(node.item, start);
    return start;
  }
}

/** @throws SyntaxError with what is wrong. */
export function parsePattern(pattern: string): Pattern {
  const node = new PatternParser(pattern).parse();
  const builder = new StateBuilder();
  const end = builder.add({ kind: "match" });
  const start = builder.build(node, end);
  return { states: builder.states, start };
}
