/**
 * Recursions of many forms, each of which must end at the language's own depth before the stack of
 * the machine does. Run by recursion.test.ts in a process with a small stack and unoptimised code:
 * frames are largest there.
 */
import { Installed } from "./run-source.ts";

const SHAPES: Readonly<Record<string, string>> = {
  plain: "func r(n int) int { return r(n + 1) }",
  statement: "func r(n int) { r(n + 1) }",
  blocks: "func r(n int) int { if 1 { if 1 { if 1 { while 1 { return r(n + 1) } } } }\nreturn 1 }",
  tails: "func r(n int).T(a int) int { return r(n + 1).T(1) }",
  variadic: "func r(n ...) int { return r(n...) }",
  arguments: "func r(n int) int { return Int(Int(Int(Int(r(n + 1))))) }",
  operators: "func r(n int) int { return 1 + (1 + (1 + (1 + r(n + 1)))) }",
  assignment: "func r(n int) int { var a b c d e f g h int\na = r(n + 1)\nreturn a }",
  results: "func r(n int) int, int { var a b int\na, b = r(n + 1)\nreturn a, b }",
  element: 'func r(n int) int { var m map\nm["a"] = r(n + 1)\nreturn 1 }',
  literal: 'func r(n int) int { $l = [1]\nerror Sprintf("%d", r(n + 1), 1)\nreturn 1 }',
  pipe: "func q(n int) int { return n }\nfunc r(n int) int { return r(n + 1).q() }",
  elif: "func r(n int) int { if 0 { return 1 } elif r(n + 1) { return 2 }\nreturn 1 }",
  condition: 'func r(n int) bool { return CheckCondition("r(1)") }',
  nested: "func r(n int) int { func s() int { return r(n + 1) }\nreturn s() }",
  contracts:
    'func r(n int) bool { return ContractConditions("Other") }\ncontract Other { conditions { r(1) } }',
};

for (const [name, source] of Object.entries(SHAPES)) {
  const installed = new Installed();
  const errors = installed.install(`${source}\ncontract Main { action { r(1) } }`, 1n, true);
  if (errors.length > 0) throw new Error(`${name}: ${errors.join("\n")}`);
  const { error } = installed.run("@1Main");
  if (error?.code !== "NEEDLE_CALL_DEPTH") {
    throw new Error(`${name}: ended with ${error?.code ?? "no error"}`);
  }
}
