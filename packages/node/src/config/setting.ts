/** One configuration key: what it means, what it may be, and how its text is read. */
import { HanseError } from "@hanse/protocol";

export interface PeerAddress {
  /** Node id from genesis, e.g. `harbour/node-1`. */
  readonly id: string;
  /** `host:port` of the peer's network door; with libp2p its multiaddress. */
  readonly address: string;
}

interface SettingBase<Kind extends string, Value> {
  readonly kind: Kind;
  readonly description: string;
  /** Undefined = must be given, unless `optional`. */
  readonly default?: Value;
  /** May stay unset; its value is then undefined. */
  readonly optional?: true;
  /** Never printed, logged or kept in an error. */
  readonly secret?: true;
}

export interface IntegerSetting extends SettingBase<"integer", number> {
  readonly min: number;
  readonly max: number;
  /** What one counts: `ms`, `bytes`, `transactions`… */
  readonly unit: string;
}
export interface TextSetting extends SettingBase<"text", string> {
  readonly pattern?: RegExp;
}
/** A file or folder; a relative one is taken from the configuration file's folder. */
export interface PathSetting extends SettingBase<"path", string> {}
export interface BooleanSetting extends SettingBase<"boolean", boolean> {}
export interface ChoiceSetting extends SettingBase<"choice", string> {
  readonly choices: readonly string[];
}
export interface PeersSetting extends SettingBase<"peers", readonly PeerAddress[]> {
  readonly entriesMax: number;
}

export type Setting =
  | IntegerSetting
  | TextSetting
  | PathSetting
  | BooleanSetting
  | ChoiceSetting
  | PeersSetting;

function refuse(name: string, message: string): never {
  throw new HanseError("CONFIG_VALUE", "rejected", `${name}: ${message}`, {
    details: { field: name },
  });
}

/** Text of an environment variable or flag as the value that a TOML file would hold. */
function fromText(name: string, setting: Setting, text: string): unknown {
  switch (setting.kind) {
    case "integer":
      return /^-?[0-9_]+$/.test(text) ? Number(text.replaceAll("_", "")) : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "peers":
      if (text.trim() === "") return [];
      return text.split(",").map((entry) => {
        const at = entry.indexOf("=");
        if (at < 1) refuse(name, "expected id=host:port, entries separated by commas");
        return { id: entry.slice(0, at).trim(), address: entry.slice(at + 1).trim() };
      });
    default:
      return text;
  }
}

function parsePeers(name: string, setting: PeersSetting, value: unknown): readonly PeerAddress[] {
  if (!Array.isArray(value)) refuse(name, "expected a list of tables with id and address");
  if (value.length > setting.entriesMax) refuse(name, `at most ${setting.entriesMax} entries`);
  const seen = new Set<string>();
  return Object.freeze(
    value.map((entry: unknown, i) => {
      const at = `${name}[${i}]`;
      if (typeof entry !== "object" || entry === null) refuse(at, "expected id and address");
      const { id, address, ...rest } = entry as Record<string, unknown>;
      const [surplus] = Object.keys(rest);
      if (surplus !== undefined) refuse(`${at}.${surplus}`, "no such key; known: id, address");
      if (typeof id !== "string" || id === "") refuse(`${at}.id`, "expected a node id");
      if (
        typeof address !== "string" ||
        !/^(?:(\[[0-9a-fA-F:]+\]|[^\s:]+):[0-9]{1,5}|\/\S+\/p2p\/\w+)$/.test(address)
      ) {
        refuse(`${at}.address`, "expected host:port, or with libp2p a multiaddress");
      }
      if (seen.has(id)) refuse(`${at}.id`, `${id} stands twice`);
      seen.add(id);
      return Object.freeze({ id, address });
    }),
  );
}

/**
 * Validates one value, given as text (environment, flag) or as TOML read it.
 * @throws HanseError `CONFIG_VALUE` naming the key, what is expected, and for non-secrets what was
 * found.
 */
export function parseSetting(
  name: string,
  setting: Setting,
  raw: unknown,
  source: "toml" | "text",
  resolvePath: (path: string) => string,
): unknown {
  const value = source === "text" && typeof raw === "string" ? fromText(name, setting, raw) : raw;
  const found = setting.secret === true ? "" : `, found ${JSON.stringify(value)?.slice(0, 80)}`;
  switch (setting.kind) {
    case "integer":
      if (typeof value !== "number" || !Number.isSafeInteger(value)) {
        refuse(name, `expected a whole number (${setting.unit})${found}`);
      }
      if (value < setting.min || value > setting.max) {
        refuse(name, `expected ${setting.min} to ${setting.max} ${setting.unit}${found}`);
      }
      return value;
    case "boolean":
      if (typeof value !== "boolean") refuse(name, `expected true or false${found}`);
      return value;
    case "choice":
      if (typeof value !== "string" || !setting.choices.includes(value)) {
        refuse(name, `expected one of ${setting.choices.join(", ")}${found}`);
      }
      return value;
    case "text":
      if (typeof value !== "string" || value.length === 0 || value.length > 4096) {
        refuse(name, `expected a text of 1 to 4096 characters${found}`);
      }
      if (setting.pattern?.test(value) === false) {
        refuse(name, `expected a text like ${setting.pattern.source}${found}`);
      }
      return value;
    case "path":
      if (typeof value !== "string" || value.length === 0) refuse(name, `expected a path${found}`);
      return resolvePath(value);
    case "peers":
      return parsePeers(name, setting, value);
  }
}
