/** Types, format and lint, floating promises, and the tidy rules; ends at the first breach. */
import { spawnSync } from "node:child_process";
import process from "node:process";

const steps: readonly (readonly [string, readonly string[]])[] = [
  ["types", ["tsc", "-p", "."]],
  ["format and lint", ["biome", "check", "--error-on-warnings", "."]],
  ["promises", ["oxlint", "--type-aware", "-c", ".oxlintrc.json", "."]],
  ["tidy", [process.execPath, "--test", "--test-reporter=dot", "test/tidy/*.test.ts"]],
];

for (const [name, [program, ...args]] of steps) {
  const started = performance.now();
  const result = spawnSync(program!, args, { encoding: "utf8" });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (result.status !== 0) {
    console.error(result.stdout ?? "", result.stderr ?? "", result.error?.message ?? "");
    console.error(`check: ${name} failed after ${seconds} s`);
    process.exit(1);
  }
  console.log(`check: ${name} ok (${seconds} s)`);
}
