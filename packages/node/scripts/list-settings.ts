/**
 * Lists every configuration key from the schema, for docs/reference/configuration.md:
 *
 *     node packages/node/scripts/list-settings.ts --write
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CONFIG_KEYS, environmentName, flagName } from "../src/config/schema.ts";
import type { Setting } from "../src/config/setting.ts";

export const SETTINGS_FILE = fileURLToPath(
  new URL("../../../docs/reference/configuration.md", import.meta.url),
);

function describeValues(setting: Setting): string {
  switch (setting.kind) {
    case "integer":
      return `${setting.min} to ${setting.max} ${setting.unit}`;
    case "choice":
      return setting.choices.join(", ");
    case "boolean":
      return "true, false";
    case "peers":
      return "list of {id, address}; as text id=host:port,…";
    default:
      return setting.kind;
  }
}

function describeDefault(setting: Setting): string {
  if (setting.default === undefined) return setting.optional === true ? "unset" : "must be given";
  return `\`${typeof setting.default === "string" ? setting.default : JSON.stringify(setting.default)}\``;
}

export function renderSettings(): string {
  const rows = [...CONFIG_KEYS].map(
    ([name, setting]) =>
      `| \`${name}\` | ${describeDefault(setting)} | ${describeValues(setting)} | ${setting.description}${setting.secret === true ? " Secret." : ""} |`,
  );
  const example = "api.bodyBytesMax";
  return `# Configuration of a node

Made from the schema by \`node packages/node/scripts/list-settings.ts --write\`; a test compares the
two.

A node reads one TOML file (\`--config FILE\`). A key may also come from the environment or from a
flag: \`${example}\` is \`${environmentName(example)}\` and \`${flagName(example)}\`. Flags win over the
environment, the environment over the file, the file over the defaults. Relative paths are taken
from the file's folder. An unknown key stops the start and names the nearest known one. What all
nodes of a ledger must agree on is not here but in the genesis document.

| key | default | values | meaning |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}

if (process.argv.includes("--write")) writeFileSync(SETTINGS_FILE, renderSettings());
