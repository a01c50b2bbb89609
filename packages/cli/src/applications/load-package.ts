/** Reading application packages from disk. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import {
  type AppPackage,
  decodePackageFiles,
  encodePackageFiles,
  packageHashOf,
  parseAppPackage,
} from "@hanse/ecosystem";
import { type Bytes, HanseError, toHex } from "@hanse/protocol";

export interface LoadedPackage {
  readonly bytes: Bytes;
  readonly app: AppPackage;
  /** Hex of SHA-256 over the package file. */
  readonly hash: string;
}

/** A package from its folder, or from the file that `app pack` wrote. */
export function loadPackage(source: string): LoadedPackage {
  const stat = statSync(source, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new HanseError(
      "CLI_NO_FILE",
      "notFound",
      `${source}: no such folder or package file; an application is a folder with hanse-app.json`,
    );
  }
  const bytes = stat.isDirectory()
    ? encodePackageFiles(readFolder(source))
    : new Uint8Array(readFileSync(source));
  const app = parseAppPackage(decodePackageFiles(bytes));
  return { bytes, app, hash: toHex(packageHashOf(bytes)) };
}

/** Every file below a folder but hidden ones and tests; links are not followed. */
function readFolder(root: string): Map<string, Bytes> {
  const files = new Map<string, Bytes>();
  const visit = (folder: string, prefix: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const name = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
      if (entry.isDirectory()) visit(path.join(folder, entry.name), name);
      else if (entry.isFile() && !entry.name.endsWith(".test.ts")) {
        files.set(name, new Uint8Array(readFileSync(path.join(folder, entry.name))));
      }
    }
  };
  visit(root, "");
  return files;
}
