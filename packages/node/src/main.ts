/** Entry of a node's process: `node main.ts --config FILE`. */
import { runNode } from "./composition/run-node.ts";

await runNode(process.argv.slice(2));
