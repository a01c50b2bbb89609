/** The bound on calls inside one another holds before the stack of the machine ends. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** Kilobytes; the engine's default is 984. */
const STACK_KB = 800;

test("recursions of every form end at the same depth on a small stack", () => {
  const script = fileURLToPath(new URL("./recursion-shapes.ts", import.meta.url));
  const flags = ["--no-opt", "--no-sparkplug", "--no-maglev", `--stack-size=${STACK_KB}`];
  // The program throws for a shape that ends otherwise.
  assert.equal(execFileSync(process.execPath, [...flags, script], { encoding: "utf8" }), "");
});
