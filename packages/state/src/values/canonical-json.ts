/**
 * One text per JSON value: no white space, object keys ascending by code point and never twice,
 * the shortest escapes, integers exactly as written (any length), other numbers in the shortest
 * form that reads back as the same IEEE double. Parsed here, because the engine's own parser keeps
 * neither long integers nor doubled keys.
 */
import { compareText, HanseError } from "@hanse/protocol";

/** Nesting deeper than this is refused. */
export const JSON_DEPTH_MAX = 64;

function fail(message: string, at: number): never {
  throw new HanseError("STATE_JSON", "malformed", `JSON: ${message} at character ${at}`, {
    details: { at },
  });
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;

/** Reads one JSON text and gives each value back in canonical form. */
class Canonicalizer {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): string {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) fail("more text after the value", this.#at);
    return value;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      this.#at++;
    }
  }

  #value(depth: number): string {
    if (depth > JSON_DEPTH_MAX) fail(`nesting deeper than ${JSON_DEPTH_MAX}`, this.#at);
    this.#space();
    const char = this.#text[this.#at];
    if (char === '"') return JSON.stringify(this.#string());
    if (char === "{") return this.#object(depth);
    if (char === "[") return this.#array(depth);
    for (const word of ["true", "false", "null"]) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return word;
      }
    }
    return this.#number();
  }

  #number(): string {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) fail("expected a value", this.#at);
    const from = this.#at;
    this.#at += match[0].length;
    if (match[1] === undefined && match[2] === undefined) return match[0] === "-0" ? "0" : match[0];
    const number = Number(match[0]);
    if (!Number.isFinite(number)) fail("number too large", from);
    return Object.is(number, -0) ? "0" : String(number);
  }

  #string(): string {
    const from = this.#at;
    this.#at++;
    let escaped = false;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === 34) break;
      // NaN at the end of the text is neither a quote nor at least a space.
      if (!(code >= 32)) fail("unfinished or broken string", from);
      if (code !== 92) {
        this.#at++;
        continue;
      }
      escaped = true;
      this.#at += 2;
    }
    this.#at++;
    const raw = this.#text.slice(from, this.#at);
    let value: string;
    try {
      value = escaped ? (JSON.parse(raw) as string) : raw.slice(1, -1);
    } catch {
      return fail("broken escape in a string", from);
    }
    if (!value.isWellFormed()) fail("lone surrogate in a string", from);
    if (value.includes("\0")) fail("U+0000 in a string", from);
    return value;
  }

  #object(depth: number): string {
    const from = this.#at++;
    const members: [string, string][] = [];
    this.#space();
    if (this.#text[this.#at] === "}") {
      this.#at++;
      return "{}";
    }
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') fail("expected a key", this.#at);
      const key = this.#string();
      this.#space();
      if (this.#text[this.#at++] !== ":") fail("expected a colon", this.#at - 1);
      members.push([key, this.#value(depth + 1)]);
      this.#space();
      const next = this.#text[this.#at++];
      if (next === "}") break;
      if (next !== ",") fail("expected a comma or }", this.#at - 1);
    }
    members.sort((a, b) => compareText(a[0], b[0]));
    let text = "{";
    for (let i = 0; i < members.length; i++) {
      if (i > 0 && members[i - 1]![0] === members[i]![0]) fail("a key stands twice", from);
      text += `${i === 0 ? "" : ","}${JSON.stringify(members[i]![0])}:${members[i]![1]}`;
    }
    return `${text}}`;
  }

  #array(depth: number): string {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === "]") {
      this.#at++;
      return "[]";
    }
    const items: string[] = [];
    for (;;) {
      items.push(this.#value(depth + 1));
      this.#space();
      const next = this.#text[this.#at++];
      if (next === "]") return `[${items.join(",")}]`;
      if (next !== ",") fail("expected a comma or ]", this.#at - 1);
    }
  }
}

/**
 * The canonical form of a JSON text.
 * @throws HanseError `STATE_JSON` when it is no JSON, nests too deep or repeats a key.
 */
export function canonicalJson(text: string): string {
  return new Canonicalizer(text).whole();
}

export function isCanonicalJson(text: string): boolean {
  try {
    return canonicalJson(text) === text;
  } catch {
    return false;
  }
}

/** PostgreSQL reads a path step over an array by strtol: optional white space and sign, digits. */
const SUBSCRIPT = /^[ \t\n\v\f\r]*[+-]?[0-9]+$/;

/**
 * Text found at a path in a canonical JSON text, as PostgreSQL's `#>>` finds it: strings unquoted,
 * other values as they stand, undefined for JSON null and where nothing is. A negative number
 * counts from an array's end.
 */
export function jsonTextAt(text: string, path: readonly string[]): string | undefined {
  let at: string | undefined = text;
  for (const step of path) {
    at = member(at, step);
    if (at === undefined) return undefined;
  }
  if (at === "null") return undefined;
  return at[0] === '"' ? (JSON.parse(at) as string) : at;
}

/** Canonical text of one member of an object or item of an array. */
function member(text: string, step: string): string | undefined {
  if (text[0] === "{") {
    const key = JSON.stringify(step);
    let at = 1;
    while (text[at] !== "}") {
      const keyEnd = skipValue(text, at);
      const valueEnd = skipValue(text, keyEnd + 1);
      if (keyEnd - at === key.length && text.startsWith(key, at)) {
        return text.slice(keyEnd + 1, valueEnd);
      }
      at = text[valueEnd] === "," ? valueEnd + 1 : valueEnd;
    }
    return undefined;
  }
  if (text[0] !== "[" || !SUBSCRIPT.test(step)) return undefined;
  const index = Number(step.trim());
  if (index > 2_147_483_647 || index < -2_147_483_648) return undefined;
  const items: [number, number][] = [];
  let at = 1;
  while (text[at] !== "]") {
    const end = skipValue(text, at);
    items.push([at, end]);
    at = text[end] === "," ? end + 1 : end;
  }
  const place = items[index < 0 ? items.length + index : index];
  return place === undefined ? undefined : text.slice(place[0], place[1]);
}

/** Where the canonical value that begins at `at` ends. */
function skipValue(text: string, at: number): number {
  let depth = 0;
  for (;;) {
    const char = text[at];
    if (char === '"') {
      at++;
      while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
      at++;
      if (depth === 0) return at;
    } else if (char === "{" || char === "[") {
      depth++;
      at++;
    } else if (char === "}" || char === "]") {
      if (depth === 0) return at;
      depth--;
      at++;
      if (depth === 0) return at;
    } else if (depth === 0 && (char === "," || char === ":" || char === undefined)) {
      return at;
    } else {
      at++;
    }
  }
}
