#!/usr/bin/env node
// Starts the command with the Node version that the repository pins: the sources are TypeScript and
// need a Node that strips types. An older Node hands over to the pinned one.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const NODE_MAJOR_MIN = 24;
const here = path.dirname(fileURLToPath(import.meta.url));
const main = path.join(here, "../src/main.ts");

function findPinnedNode() {
  for (let folder = here; ; folder = path.dirname(folder)) {
    for (const place of ["node_modules/node/bin/node", "node_modules/.bin/node"]) {
      const file = path.join(folder, place);
      if (existsSync(file)) return file;
    }
    if (folder === path.dirname(folder)) return undefined;
  }
}

const major = Number(process.versions.node.split(".")[0]);
if (major >= NODE_MAJOR_MIN) {
  // Types are stripped and code is compiled once, not at each start: half a second each time.
  module.enableCompileCache?.(path.join(here, "../../../node_modules/.cache/hanse"));
  await import(main);
} else {
  const node = findPinnedNode();
  if (node === undefined) {
    process.stderr.write(
      `hanse: this is Node ${process.versions.node}, and Node ${NODE_MAJOR_MIN} or newer is needed. ` +
        "Run `npm ci` in the repository: it brings the right one.\n",
    );
    process.exit(2);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // Ctrl-C reaches the child by itself, being in the same process group; here it only has to wait.
  process.on("SIGINT", () => {});
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal === "SIGINT" ? 130 : 1);
  });
}
