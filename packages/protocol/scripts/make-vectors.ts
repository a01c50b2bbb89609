/**
 * Writes `vectors/*.json`. Run it only when an encoding is meant to change:
 * `node packages/protocol/scripts/make-vectors.ts`
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { readyKeyBackends } from "../src/index.ts";
import { createVectors } from "./vectors.ts";

await readyKeyBackends();
const folder = new URL("../vectors/", import.meta.url);
mkdirSync(folder, { recursive: true });
for (const [name, text] of await createVectors()) {
  writeFileSync(new URL(name, folder), text);
  console.log(`vectors/${name}: ${text.length} characters`);
}
