/** Goal: the built-in engine keeps E1 to E12, alone, with crash quorum, and with 4 and 7 members. */
import { builtin } from "./harness/engines.ts";
import { runSuite } from "./harness/suite.ts";

runSuite(builtin(1, "byzantine", 0));
runSuite(builtin(3, "crash", 1));
runSuite(builtin(4, "byzantine", 1));
runSuite(builtin(7, "byzantine", 2));
