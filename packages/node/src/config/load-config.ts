/** Puts a node's configuration together: defaults, then file, then environment, then flags. */
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import { HanseError, nearestName } from "@hanse/protocol";
import { parse, stringify } from "smol-toml";
import {
  CONFIG_KEYS,
  CONFIG_SCHEMA,
  environmentName,
  flagName,
  type NodeConfig,
  type NodeConfigInput,
} from "./schema.ts";
import { parseSetting } from "./setting.ts";

export type ConfigOrigin = "default" | "file" | "environment" | "flag" | "unset";

export interface LoadedConfig {
  readonly config: NodeConfig;
  /** Where each dotted key's value came from. */
  readonly origins: ReadonlyMap<string, ConfigOrigin>;
}

export interface ConfigSources {
  /** A TOML file; relative paths in any source are taken from its folder. */
  readonly file?: string;
  /** Values instead of a file. */
  readonly values?: NodeConfigInput;
  /** Base of relative paths where there is no file. */
  readonly baseDir?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** `--api.port=7070`, `--api.port 7070`. */
  readonly flags?: readonly string[];
}

function refuseUnknown(found: string, known: Iterable<string>, where: string): never {
  throw new HanseError(
    "CONFIG_UNKNOWN_KEY",
    "rejected",
    `${where}: no such key ${found}; did you mean ${nearestName(found, known, Number.POSITIVE_INFINITY)}?`,
    { details: { field: found } },
  );
}

function readToml(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new HanseError("CONFIG_FILE", "notFound", `configuration file ${file}: cannot be read`, {
      cause,
    });
  }
  try {
    return parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HanseError("CONFIG_FILE", "malformed", `configuration file ${file}: ${reason}`, {
      cause,
    });
  }
}

function collectValues(tree: unknown, where: string): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const [section, content] of Object.entries(tree as Record<string, unknown>)) {
    if (!Object.hasOwn(CONFIG_SCHEMA, section)) {
      refuseUnknown(section, [...Object.keys(CONFIG_SCHEMA), ...CONFIG_KEYS.keys()], where);
    }
    if (typeof content !== "object" || content === null || Array.isArray(content)) {
      throw new HanseError("CONFIG_VALUE", "rejected", `${where}: ${section} must be a table`);
    }
    for (const [key, value] of Object.entries(content)) {
      const name = `${section}.${key}`;
      if (!CONFIG_KEYS.has(name)) refuseUnknown(name, CONFIG_KEYS.keys(), where);
      if (value !== undefined) values.set(name, value);
    }
  }
  return values;
}

function collectEnvironment(environment: Readonly<Record<string, string | undefined>>) {
  const byName = new Map([...CONFIG_KEYS.keys()].map((key) => [environmentName(key), key]));
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) continue;
    const key = byName.get(name);
    if (key !== undefined) values.set(key, value);
    // Only names in one of our sections: HANSE_HOME and the like belong to other programs.
    else if (Object.keys(CONFIG_SCHEMA).some((s) => name.startsWith(`HANSE_${s.toUpperCase()}_`))) {
      refuseUnknown(name, byName.keys(), "environment");
    }
  }
  return values;
}

function collectFlags(flags: readonly string[]) {
  const byName = new Map([...CONFIG_KEYS.keys()].map((key) => [flagName(key), key]));
  const values = new Map<string, string>();
  for (let i = 0; i < flags.length; i++) {
    const flag = flags[i]!;
    const at = flag.indexOf("=");
    const name = at < 0 ? flag : flag.slice(0, at);
    const key = byName.get(name);
    if (key === undefined) refuseUnknown(name, byName.keys(), "flag");
    const value = at < 0 ? flags[++i] : flag.slice(at + 1);
    if (value === undefined) {
      throw new HanseError("CONFIG_VALUE", "rejected", `${name}: expected a value after it`);
    }
    values.set(key, value);
  }
  return values;
}

/**
 * @throws HanseError `CONFIG_FILE`, `CONFIG_UNKNOWN_KEY` (with the nearest known key),
 * `CONFIG_VALUE` or `CONFIG_MISSING`, each naming the key.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const file = sources.file === undefined ? undefined : resolve(sources.file);
  const base = file === undefined ? resolve(sources.baseDir ?? ".") : dirname(file);
  const resolvePath = (path: string) => (isAbsolute(path) ? path : resolve(base, path));
  const layers: readonly [ConfigOrigin, "toml" | "text", ReadonlyMap<string, unknown>][] = [
    ["flag", "text", collectFlags(sources.flags ?? [])],
    ["environment", "text", collectEnvironment(sources.environment ?? {})],
    ["file", "toml", file === undefined ? new Map() : collectValues(readToml(file), file)],
    ["file", "toml", collectValues(sources.values ?? {}, "configuration")],
  ];
  const origins = new Map<string, ConfigOrigin>();
  const config: Record<string, Record<string, unknown>> = {};
  for (const [name, setting] of CONFIG_KEYS) {
    const [section, key] = name.split(".") as [string, string];
    const layer = layers.find(([, , values]) => values.has(name));
    let value: unknown;
    if (layer !== undefined) {
      const [origin, source, values] = layer;
      value = parseSetting(name, setting, values.get(name), source, resolvePath);
      origins.set(name, origin);
    } else if (setting.default !== undefined) {
      value = setting.kind === "path" ? resolvePath(setting.default) : setting.default;
      origins.set(name, "default");
    } else if (setting.optional === true) {
      origins.set(name, "unset");
    } else {
      throw new HanseError(
        "CONFIG_MISSING",
        "rejected",
        `${name} must be given: in the file, as ${environmentName(name)} or as ${flagName(name)}`,
        { details: { field: name } },
      );
    }
    config[section] ??= {};
    config[section][key] = value;
  }
  for (const section of Object.values(config)) Object.freeze(section);
  return { config: Object.freeze(config) as unknown as NodeConfig, origins };
}

/** A configuration file's text for the values given; what is left out keeps its default. */
export function renderConfigToml(values: NodeConfigInput): string {
  return `${stringify(values)}\n`;
}

export interface PrintedSetting {
  readonly key: string;
  /** Text of the value; secrets are masked. */
  readonly value: string;
  readonly origin: ConfigOrigin;
  readonly environment: string;
  readonly description: string;
}

/** Every key with value and origin, for `config print`; secrets show only whether they are set. */
export function printConfig(loaded: LoadedConfig): readonly PrintedSetting[] {
  return [...CONFIG_KEYS].map(([name, setting]) => {
    const [section, key] = name.split(".") as [keyof NodeConfig, string];
    const value = (loaded.config[section] as Readonly<Record<string, unknown>>)[key];
    return {
      key: name,
      value:
        value === undefined
          ? ""
          : setting.secret === true
            ? "********"
            : typeof value === "string"
              ? value
              : JSON.stringify(value),
      origin: loaded.origins.get(name) ?? "unset",
      environment: environmentName(name),
      description: setting.description,
    };
  });
}
