/**
 * An application travels as one file: deterministic CBOR
 * `["hanse-app", 1, [[path, sha256, bytes], …]]`, paths in byte order (spec/applications.md).
 * The same folder gives the same bytes everywhere; the package's hash is SHA-256 of the file.
 */
import {
  asArray,
  asBytes,
  asText,
  asUint,
  type Bytes,
  type CborValue,
  compareText,
  decodeCbor,
  encodeCbor,
  equalBytes,
  HanseError,
  type Hash,
  sha256,
} from "@hanse/protocol";

export const PACKAGE_MAGIC = "hanse-app";
export const PACKAGE_FORMAT = 1;
/** Most files of a package. */
export const PACKAGE_FILES_MAX = 2_000;
/** Most bytes of all files of a package together. */
export const PACKAGE_BYTES_MAX = 16 * 1024 * 1024;

/** Path with `/` between folders, relative to the package's folder, to content. */
export type PackageFiles = ReadonlyMap<string, Bytes>;

const PATH = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,3}$/;

function fail(code: string, message: string, field: string): never {
  throw new HanseError(code, "malformed", `${field}: ${message}`, { details: { field } });
}

function requireFiles(files: PackageFiles): void {
  if (files.size > PACKAGE_FILES_MAX) {
    fail("APP_PACKAGE_SIZE", `at most ${PACKAGE_FILES_MAX} files`, "package");
  }
  let bytes = 0;
  for (const [path, content] of files) {
    if (!PATH.test(path)) {
      fail("APP_PACKAGE_PATH", "use letters, digits, '.', '_' and '-', at most 3 folders", path);
    }
    bytes += content.length;
  }
  if (bytes > PACKAGE_BYTES_MAX) {
    fail("APP_PACKAGE_SIZE", `at most ${PACKAGE_BYTES_MAX} bytes in all files`, "package");
  }
}

/**
 * The package of a folder's files; what is no part of an application (isPackagePath) is left out.
 * @throws HanseError `APP_PACKAGE_PATH`, `APP_PACKAGE_SIZE` naming the file.
 */
export function encodePackageFiles(folder: PackageFiles): Bytes {
  const files = new Map([...folder].filter(([path]) => isPackagePath(path)));
  requireFiles(files);
  const entries = [...files].sort(([a], [b]) => compareText(a, b));
  return encodeCbor([
    PACKAGE_MAGIC,
    PACKAGE_FORMAT,
    entries.map(([path, content]): CborValue => [path, sha256(content), content]),
  ]);
}

/**
 * Files of a package, each checked against its hash.
 * @throws HanseError `APP_PACKAGE_FORMAT`, `APP_PACKAGE_HASH`, `APP_PACKAGE_PATH`,
 * `APP_PACKAGE_SIZE`, `CBOR_*`, `FIELD_INVALID`.
 */
export function decodePackageFiles(bytes: Bytes): PackageFiles {
  const [magic, format, list] = asArray(decodeCbor(bytes), "package", 3);
  if (magic !== PACKAGE_MAGIC) {
    fail("APP_PACKAGE_FORMAT", "not an application package", "package");
  }
  if (asUint(format, "package.format") !== PACKAGE_FORMAT) {
    fail("APP_PACKAGE_FORMAT", `this node reads format ${PACKAGE_FORMAT} only`, "package.format");
  }
  const files = new Map<string, Bytes>();
  let last: string | undefined;
  for (const [at, entry] of asArray(list, "package.files").entries()) {
    const [pathValue, hashValue, contentValue] = asArray(entry, `package.files[${at}]`, 3);
    const path = asText(pathValue, `package.files[${at}].path`);
    const hash = asBytes(hashValue, `package.files[${at}].hash`, 32);
    const content = asBytes(contentValue, `package.files[${at}].content`);
    if (last !== undefined && compareText(last, path) >= 0) {
      fail("APP_PACKAGE_FORMAT", "files must be in byte order of their paths, once each", path);
    }
    last = path;
    if (!equalBytes(sha256(content), hash)) {
      fail("APP_PACKAGE_HASH", "content does not match its hash; the package is damaged", path);
    }
    files.set(path, content);
  }
  requireFiles(files);
  return files;
}

/** What `app show` prints and the registry row keeps. */
export function packageHashOf(bytes: Bytes): Hash {
  return sha256(bytes);
}

const FOLDERS = new Set(["tables", "contracts", "pages", "menus", "snippets", "languages"]);
const EXTENSION = /\.(json|sim|ptl)$/;

/** Whether a file of an application's folder belongs into its package. */
export function isPackagePath(path: string): boolean {
  if (path === "hanse-app.json") return true;
  const folder = path.slice(0, Math.max(0, path.indexOf("/")));
  return FOLDERS.has(folder) && EXTENSION.test(path);
}
