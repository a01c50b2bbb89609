/** Arguments of native actions: each field with its reader; a breach names the field and what it should be. */
import {
  asArray,
  asBytes,
  asMap,
  asText,
  asUint,
  type CborValue,
  HanseError,
  nearestName,
  type PublicKey,
  publicKeyFromCbor,
} from "@hanse/protocol";

export type ArgumentReader<T> = (value: CborValue | undefined, field: string) => T;

// biome-ignore lint/suspicious/noExplicitAny: readers of any value, told apart by inference below.
export type ArgumentSpec = Readonly<Record<string, ArgumentReader<any>>>;

export type Arguments<S extends ArgumentSpec> = { readonly [K in keyof S]: ReturnType<S[K]> };

function wrong(field: string, expected: string): never {
  throw new HanseError("MODULE_ARGUMENT", "malformed", `${field}: expected ${expected}`, {
    details: { field, expected },
  });
}

export function text(lengthMax: number): ArgumentReader<string> {
  return (value, field) => {
    if (typeof value !== "string") wrong(field, "a text");
    const found = asText(value, field);
    if (found.length > lengthMax) wrong(field, `at most ${lengthMax} characters`);
    return found;
  };
}

/** An unsigned integer below 2^53, such as a height. */
export function uint(): ArgumentReader<number> {
  return (value, field) => {
    if (typeof value !== "number" || value < 0) wrong(field, "an unsigned integer");
    return asUint(value, field);
  };
}

/** Between least and most bytes. */
export function bytes(least: number, most: number): ArgumentReader<Uint8Array> {
  return (value, field) => {
    if (!(value instanceof Uint8Array)) wrong(field, "bytes");
    const found = asBytes(value, field);
    if (found.length < least || found.length > most) {
      wrong(field, least === most ? `${least} bytes` : `${least} to ${most} bytes`);
    }
    return found;
  };
}

export function texts(countMax: number, lengthMax: number): ArgumentReader<readonly string[]> {
  const item = text(lengthMax);
  return (value, field) => {
    if (!Array.isArray(value)) wrong(field, "a list of texts");
    const items = asArray(value, field);
    if (items.length > countMax) wrong(field, `at most ${countMax} entries`);
    return items.map((entry, i) => item(entry, `${field}[${i}]`));
  };
}

/** `[algorithm number, bytes]`, as in transactions. */
export function publicKey(): ArgumentReader<PublicKey> {
  return (value, field) => {
    if (!Array.isArray(value)) wrong(field, "a public key: [algorithm, bytes]");
    return publicKeyFromCbor(value, field);
  };
}

export function optional<T>(reader: ArgumentReader<T>): ArgumentReader<T | undefined> {
  return (value, field) => (value === undefined ? undefined : reader(value, field));
}

/**
 * Reads exactly the fields of the spec.
 * @throws HanseError `MODULE_ARGUMENT` naming the field, with the nearest known name for a wrong one.
 */
export function readArguments<S extends ArgumentSpec>(
  value: CborValue | undefined,
  spec: S,
): Arguments<S> {
  if (!(value instanceof Map)) wrong("args", "a map");
  const map = asMap(value, "args");
  const known = Object.keys(spec);
  for (const name of map.keys()) {
    if (known.includes(name)) continue;
    const nearest = nearestName(name, known);
    wrong(
      `args.${name.slice(0, 64)}`,
      nearest === undefined ? `one of ${known.join(", ") || "no fields"}` : `the field ${nearest}`,
    );
  }
  const found: Record<string, unknown> = {};
  for (const name of known) found[name] = spec[name]!(map.get(name), `args.${name}`);
  return found as Arguments<S>;
}
