/**
 * Provides CometBFT for the tests that need it: the one that is there, or one built by Go where Go is
 * installed, kept in ~/.cache/hanse/bin. By hand: node scripts/install-cometbft.ts
 */
import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { COMET_MODULE, COMET_VERSION, cometCacheFolder, findCometBinary } from "@hanse/cometbft";

const run = promisify(execFile);

/** Building takes minutes on two cores. */
const BUILD_MS_MAX = 15 * 60_000;
/** Where Go's own packages put it, when PATH does not say. */
const GO_FOLDER = "/usr/local/go/bin";

export type Provided = { readonly binary: string } | { readonly missing: string };

/** Never throws: what cannot be had is said in words, for the name of a skipped test. */
export async function provideCometbft(): Promise<Provided> {
  const found = findCometBinary(process.env);
  if (found !== undefined) return { binary: found };
  const searched = [process.env.PATH, GO_FOLDER].join(path.delimiter);
  const folder = cometCacheFolder();
  const environment = { ...process.env, PATH: searched, GOBIN: folder };
  try {
    await run("go", ["version"], { env: environment });
  } catch {
    return { missing: `no cometbft in COMETBFT_BIN or PATH, and no Go to build ${COMET_VERSION}` };
  }
  try {
    mkdirSync(folder, { recursive: true });
    console.log(`cometbft: building ${COMET_VERSION} by go install, once; this takes minutes…`);
    await run("go", ["install", COMET_MODULE], { env: environment, timeout: BUILD_MS_MAX });
  } catch (error) {
    const lines = String((error as { stderr?: string }).stderr ?? error).trim();
    return { missing: `go install ${COMET_MODULE} failed: ${lines.split("\n").at(-1)}` };
  }
  const built = findCometBinary(process.env);
  return built === undefined ? { missing: "go install left no cometbft" } : { binary: built };
}

if (import.meta.main) {
  const provided = await provideCometbft();
  console.log("binary" in provided ? provided.binary : provided.missing);
  process.exitCode = "binary" in provided ? 0 : 1;
}
