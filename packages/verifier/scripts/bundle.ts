/**
 * Builds the verifier as files that need nothing beside them:
 * `dist/hanse-verify.mjs` (a program for Node), `dist/hanse-verify.browser.js` (a module for
 * browsers) and `dist/verify.html` (a page that works from a local disk).
 *
 * `node packages/verifier/scripts/bundle.ts [--out FOLDER]`
 */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The text of one bundled module; no condition but the defaults: portable code, no addons. */
async function bundle(entry: string, options: { readonly minify?: boolean } = {}): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [path.join(root, entry)],
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: [],
    target: "es2022",
    external: ["node:*"],
    minify: options.minify ?? false,
    legalComments: "eof",
    logLevel: "error",
  });
  return outputFiles[0]!.text;
}

export interface BundledFiles {
  readonly program: string;
  readonly browserModule: string;
  readonly page: string;
}

/** Builds all three into a folder and returns their paths. */
export async function bundleVerifier(out: string): Promise<BundledFiles> {
  mkdirSync(out, { recursive: true });
  const files: BundledFiles = {
    program: path.join(out, "hanse-verify.mjs"),
    browserModule: path.join(out, "hanse-verify.browser.js"),
    page: path.join(out, "verify.html"),
  };
  writeFileSync(files.program, await bundle("src/main.ts"));
  chmodSync(files.program, 0o755);
  writeFileSync(files.browserModule, await bundle("src/index.ts"));

  const script = await bundle("page/verify-page.ts", { minify: true });
  if (/<\/script|<!--/i.test(script))
    throw new Error("the page's script would end its own element");
  const digest = createHash("sha256").update(script).digest("base64");
  // The page may run this one script and nothing else, and may talk to nobody.
  const policy = `default-src 'none'; script-src 'sha256-${digest}' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; connect-src 'none'; form-action 'none'; base-uri 'none'`;
  const page = readFileSync(path.join(root, "page/verify.html"), "utf8")
    .replace(
      "<!-- POLICY -->",
      () => `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    )
    .replace("<!-- SCRIPT -->", () => `<script type="module">${script}</script>`);
  writeFileSync(files.page, page);
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { out: { type: "string" } } });
  const files = await bundleVerifier(path.resolve(values.out ?? path.join(root, "dist")));
  for (const file of Object.values(files)) {
    console.log(`${file}: ${Math.round(readFileSync(file).length / 1024)} kB`);
  }
}
