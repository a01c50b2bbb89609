/** A node as a process: signals, the ready line, exit codes. */
import { readFileSync } from "node:fs";
import { createNeedleEngine } from "@hanse/engine-needle";
import { HanseError, toHanseError, toHex } from "@hanse/protocol";
import { loadConfig } from "../config/load-config.ts";
import type { NodeConfig } from "../config/schema.ts";
import { createNodeFolder } from "../folder/node-folder.ts";
import { createLog, type NodeLog } from "../log/create-log.ts";
import { openPostgresStore } from "./open-postgres-store.ts";
import { type Address, type NodeAdapters, type RunningNode, startNode } from "./start-node.ts";

/** 0 = stopped as asked; 1 = failed; 2 = configuration, keys or folder do not fit. */
export const EXIT_CODES = { stopped: 0, failed: 1, misconfigured: 2 } as const;

/** After this the process ends whatever is still open. */
const STOP_MS_MAX = 30_000;

const USAGE = `usage: node main.ts --config FILE [--init | --rejoin | --accept-amnesia] [--section.key VALUE]...
  --config FILE   the node's configuration (TOML)
  --init          create the folder of a node that has never run, and end
  --rejoin        create the folder of a node that has run and whose folder is lost, and end; it then
                  fetches the record and votes again when that is safe
  --accept-amnesia
                  vote again although the signing state in the folder is lost; only when no copy of
                  this node runs anywhere, and for this one start
  --recovery FILE go on after a loss of quorum by the document that the organizations signed
Every key of the configuration may also come as HANSE_SECTION_KEY or as --section.key VALUE.
`;

interface Arguments {
  readonly file: string | undefined;
  /** Make the folder of a new node, or of one whose folder is lost, and end. */
  readonly create: "new" | "rejoin" | undefined;
  readonly acceptAmnesia: boolean;
  readonly flags: readonly string[];
}

function parseArguments(args: readonly string[]): Arguments {
  const flags: string[] = [];
  let file: string | undefined;
  let create: Arguments["create"];
  let acceptAmnesia = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--config") file = args[++i];
    else if (arg.startsWith("--config=")) file = arg.slice("--config=".length);
    else if (arg === "--init") create ??= "new";
    // The safer one, where both are given.
    else if (arg === "--rejoin") create = "rejoin";
    else if (arg === "--accept-amnesia") acceptAmnesia = true;
    else if (arg === "--recovery") flags.push("--ordering.recovery", args[++i] ?? "");
    else flags.push(arg);
  }
  return { file, create, acceptAmnesia, flags };
}

function readVersion(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

const urlOf = ({ host, port }: Address) => `${host.includes(":") ? `[${host}]` : host}:${port}`;

function printReady(node: RunningNode): void {
  const line = {
    event: "ready",
    node: node.id,
    ledgerId: toHex(node.ledgerId),
    api: `http://${urlOf(node.api)}`,
    network: urlOf(node.network),
    pid: process.pid,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function logFailure(log: NodeLog, thrown: unknown, message: string): HanseError {
  const error = toHanseError(thrown);
  log.fatal({ code: error.code, ...error.details, err: thrown }, `${message}: ${error.message}`);
  return error;
}

/** A node with PostgreSQL and all contract engines, except for the adapters given. */
export function startDefaultNode(
  config: NodeConfig,
  adapters: Partial<NodeAdapters>,
): Promise<RunningNode> {
  return startNode(config, {
    log: adapters.log ?? createLog(config.log.level, { node: config.node.id }),
    version: readVersion(),
    openStore: openPostgresStore,
    createNeedle: () => createNeedleEngine(),
    onFatal() {},
    ...adapters,
  });
}

/** Runs until a signal or a failure ends it; sets the process's exit code. */
export async function runNode(args: readonly string[]): Promise<void> {
  if (args.includes("--help")) {
    process.stdout.write(USAGE);
    return;
  }
  // Until the configuration is read, its own mistakes must be told all the same.
  let log = createLog("info", {});
  let node: RunningNode | undefined;
  let ending: Promise<void> | undefined;

  function end(code: number): Promise<void> {
    ending ??= (async () => {
      process.exitCode = code;
      setTimeout(() => process.exit(code), STOP_MS_MAX).unref();
      await node?.stop();
      process.exit(code);
    })();
    return ending;
  }

  process.on("uncaughtException", (error) => {
    logFailure(log, error, "a bug stopped the node");
    void end(EXIT_CODES.failed);
  });
  try {
    const { file, create, acceptAmnesia, flags } = parseArguments(args);
    if (file === undefined) {
      throw new HanseError("CONFIG_MISSING", "rejected", `--config FILE must be given\n${USAGE}`);
    }
    const { config } = loadConfig({ file, flags, environment: process.env });
    log = createLog(config.log.level, { node: config.node.id });
    if (create !== undefined) {
      await createNodeFolder(config, create);
      log.info({ dataDir: config.node.dataDir, for: create }, "folder created");
      return;
    }
    const stop = (signal: string) => {
      if (ending !== undefined) process.exit(EXIT_CODES.failed);
      log.info({ signal }, "asked to stop");
      // A node that is still opening ends by the same way, as soon as it is there.
      if (node === undefined) process.exitCode = EXIT_CODES.stopped;
      else void end(EXIT_CODES.stopped);
      asked = true;
    };
    let asked = false;
    process.on("SIGINT", () => stop("SIGINT"));
    process.on("SIGTERM", () => stop("SIGTERM"));
    const start = async (isFirst: boolean) => {
      let wantsRestart = false;
      const started = await startDefaultNode(config, {
        log,
        acceptAmnesia: acceptAmnesia && isFirst,
        onSnapshot() {
          wantsRestart = true;
          if (node !== undefined) void restart(node);
        },
        onFatal(error) {
          logFailure(log, error, "the node cannot go on");
          void end(EXIT_CODES.failed);
        },
      });
      node = started;
      if (asked) await end(EXIT_CODES.stopped);
      else printReady(started);
      if (wantsRestart) void restart(started);
    };
    /** Closes the node and opens it anew in the same process: a snapshot waits to be loaded. */
    const restart = async (running: RunningNode) => {
      if (node !== running || ending !== undefined) return;
      node = undefined;
      try {
        await running.stop();
        await start(false);
      } catch (error) {
        logFailure(log, error, "the node did not start again");
        await end(EXIT_CODES.failed);
      }
    };
    await start(true);
  } catch (thrown) {
    const error = logFailure(log, thrown, "the node did not start");
    const misconfigured = /^(CONFIG|GENESIS|KEY|NODE|NETWORK_IDENTITY|NETWORK_PEERS)/;
    process.exit(misconfigured.test(error.code) ? EXIT_CODES.misconfigured : EXIT_CODES.failed);
  }
}
