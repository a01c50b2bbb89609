/** `storage.json`: says that a ledger's data was in the folder, and of which PostgreSQL. */
import fs from "node:fs";
import path from "node:path";
import { HanseError } from "@hanse/protocol";

export interface Marker {
  readonly format: 1;
  readonly postgresMajor: number;
}

export function readMarker(file: string): Marker | undefined {
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  try {
    const marker = JSON.parse(text) as Marker;
    if (marker.format === 1 && Number.isInteger(marker.postgresMajor)) return marker;
  } catch {
    // Below.
  }
  throw corrupt(path.dirname(file), "storage.json is not readable");
}

export function corrupt(
  dir: string,
  what: string,
  details: Record<string, string> = {},
): HanseError {
  return new HanseError(
    "STORAGE_FOLDER_CORRUPT",
    "corrupt",
    `${dir}: ${what}. Nothing was changed: restore the folder from a copy, or empty it to join anew`,
    { details: { dir, ...details } },
  );
}

/** Durable before any ledger's data can be: file, then folder. */
export function writeMarker(file: string, marker: Marker): void {
  const draft = `${file}.new`;
  fs.writeFileSync(draft, `${JSON.stringify(marker)}\n`, { flush: true });
  fs.renameSync(draft, file);
  const folder = fs.openSync(path.dirname(file), "r");
  try {
    fs.fsyncSync(folder);
  } finally {
    fs.closeSync(folder);
  }
}
