/** Goal: four members over CometBFT keep E1 to E12; skipped by name where it is not installed. */
import { after } from "node:test";
import { provideCometbft } from "../../scripts/install-cometbft.ts";
import { comet, removeHomes } from "./harness/comet.ts";
import { runSuite } from "./harness/suite.ts";

await provideCometbft();
after(removeHomes);
runSuite(comet(4, 1));
