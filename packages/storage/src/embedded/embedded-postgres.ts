/**
 * A PostgreSQL cluster of the node's own, in the node's own folder:
 *
 *     DIR/storage.json   says that there was data once, and of which PostgreSQL
 *     DIR/lock.json      the process that owns the folder
 *     DIR/data/          the cluster
 *     DIR/postgres.log   what the server said, cut at each start
 *     DIR/password       for TCP, when a port is asked for
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { HanseError } from "@hanse/protocol";
import pg from "pg";
import { lockFolder } from "./folder-lock.ts";
import { corrupt, readMarker, writeMarker } from "./folder-marker.ts";
import { locatePostgres, type PostgresBinaries } from "./postgres-binaries.ts";
import { clearOrphan, watchOver } from "./server-process.ts";
import { canTraverse, chownAll, type UserId, userForPostgres } from "./unprivileged-user.ts";

const USER = "hanse";
const DATABASE = "hanse";
/** The address of a Unix socket fits into 107 bytes on Linux, 103 on macOS. */
const SOCKET_PATH_MAX = 100;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const LOG_BYTES_MAX = 4 * 1024 * 1024;
/** Number in a socket's name; no TCP port is meant by it. */
const SOCKET_PORT = 5432;

export interface EmbeddedPostgresOptions {
  /** Folder of the cluster; made when absent. */
  readonly dir: string;
  /** Also listen on this TCP port of 127.0.0.1, with a password; 0 = any free one. Default: no TCP. */
  readonly port?: number;
  /**
   * Memory PostgreSQL shares among its processes, megabytes; taken as data comes. Default: a 32nd of
   * the machine's memory, 128 at least, 1024 at most.
   */
  readonly sharedBuffersMb?: number;
  readonly connectionsMax?: number;
  /** Further server settings, e.g. `{ max_wal_size: "8GB" }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedPostgres {
  /** For `pg` and for SQL readers on this machine. */
  readonly url: string;
  readonly dir: string;
  readonly dataDir: string;
  readonly pid: number;
  /** Major version of the server. */
  readonly major: number;
  /** Whether the cluster was made by this start. */
  readonly created: boolean;
  /** Called once when the server ends without having been told to. */
  onExit(handler: (reason: string) => void): void;
  /** Shuts the server down (running transactions are aborted) and frees the folder. */
  stop(): Promise<void>;
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** @param from where in the log this start began. */
function logTail(file: string, from = 0): string {
  try {
    const lines = fs.readFileSync(file).subarray(from).toString("utf8").trimEnd().split("\n");
    return lines.slice(-8).join(" | ").slice(-1_500);
  } catch {
    return "";
  }
}

/** A folder of ours that the server's user may pass through; what is in it keeps its own modes. */
function openFolder(dir: string, user: UserId | undefined): void {
  fs.mkdirSync(dir, { recursive: true });
  if (user !== undefined) fs.chmodSync(dir, fs.statSync(dir).mode | 0o111);
}

/**
 * How the server is told where its data is. When root keeps a node in a folder that no other user
 * may pass through, the open folder itself is handed over, as /proc/self/fd/3 (Linux): nothing has
 * to be moved and no folder of somebody else is opened.
 */
class DataFolder {
  readonly dir: string;
  readonly user: UserId | undefined;
  readonly #byHandle: boolean;

  constructor(dir: string, user: UserId | undefined) {
    this.dir = dir;
    this.user = user;
    this.#byHandle = !canTraverse(path.dirname(dir), user);
    if (this.#byHandle && process.platform !== "linux") {
      throw new HanseError(
        "STORAGE_FOLDER_UNREACHABLE",
        "denied",
        `${dir}: PostgreSQL does not run as root, and user ${user?.uid} cannot pass through the folders above: run the node as another user or choose another folder`,
        { details: { dir } },
      );
    }
  }

  spawn(program: string, args: readonly string[], log: number): ChildProcess {
    const handle = this.#byHandle ? fs.openSync(this.dir, "r") : undefined;
    try {
      return spawn(program, ["-D", handle === undefined ? this.dir : "/proc/self/fd/3", ...args], {
        stdio: ["ignore", log, log, ...(handle === undefined ? [] : [handle])],
        // A session of its own: Ctrl-C in a terminal is for the node, which then stops it in order.
        detached: true,
        cwd: "/",
        env: { LC_ALL: "C", TZ: "UTC" },
        ...(this.user === undefined ? {} : { uid: this.user.uid, gid: this.user.gid }),
      });
    } finally {
      if (handle !== undefined) fs.closeSync(handle);
    }
  }
}

function exited(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
}

async function initialize(
  dir: string,
  binaries: PostgresBinaries,
  user: UserId | undefined,
  password: string,
): Promise<void> {
  // Made under another name and renamed when complete: a crash here leaves nothing to mistake.
  const draft = path.join(dir, "data.new");
  fs.rmSync(draft, { recursive: true, force: true });
  fs.mkdirSync(draft, { mode: 0o700 });
  const secrets = fs.mkdtempSync(path.join(os.tmpdir(), "hanse-init-"));
  const secretFile = path.join(secrets, "password");
  const logFile = path.join(dir, "postgres.log");
  const log = fs.openSync(logFile, "w");
  try {
    fs.writeFileSync(secretFile, password, { mode: 0o600 });
    if (user !== undefined) {
      fs.chownSync(draft, user.uid, user.gid);
      chownAll(secrets, user);
    }
    const child = new DataFolder(draft, user).spawn(
      binaries.initdb,
      [
        `--username=${USER}`,
        `--pwfile=${secretFile}`,
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
        "--locale=C",
        "--encoding=UTF8",
        "--no-instructions",
      ],
      log,
    );
    const code = await exited(child);
    if (code !== 0) {
      throw new HanseError(
        "STORAGE_INIT_FAILED",
        "unavailable",
        `${dir}: PostgreSQL could not make a cluster (${code}): ${logTail(logFile)}`,
        { details: { dir } },
      );
    }
    fs.renameSync(draft, path.join(dir, "data"));
  } finally {
    fs.closeSync(log);
    fs.rmSync(secrets, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** A folder for the socket: in the node's folder where its address fits, else a short one. */
function socketFolder(dir: string, user: UserId | undefined): string {
  const own = path.join(dir, "socket");
  const fits = Buffer.byteLength(path.join(own, `.s.PGSQL.${SOCKET_PORT}`)) <= SOCKET_PATH_MAX;
  let place = own;
  if (fits && canTraverse(dir, user)) {
    fs.rmSync(own, { recursive: true, force: true });
    fs.mkdirSync(own, { mode: 0o700 });
  } else {
    place = fs.mkdtempSync(path.join(os.tmpdir(), "hanse-"));
    if (!canTraverse(path.dirname(place), user)) {
      fs.rmdirSync(place);
      place = fs.mkdtempSync("/tmp/hanse-");
    }
  }
  if (user !== undefined) fs.chownSync(place, user.uid, user.gid);
  return place;
}

function defaultBuffersMb(): number {
  return Math.max(128, Math.min(1_024, Math.floor(os.totalmem() / 2 ** 20 / 32)));
}

function settingsOf(options: EmbeddedPostgresOptions): Readonly<Record<string, string>> {
  return {
    shared_buffers: `${options.sharedBuffersMb ?? defaultBuffersMb()}MB`,
    max_connections: String(options.connectionsMax ?? 20),
    wal_level: "minimal",
    max_wal_senders: "0",
    // Whole pages go to the log once per checkpoint: rare checkpoints keep random updates cheap.
    checkpoint_timeout: "30min",
    max_wal_size: "4GB",
    checkpoint_completion_target: "0.9",
    wal_compression: "off",
    wal_buffers: "16MB",
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    jit: "off",
    timezone: "UTC",
    log_timezone: "UTC",
    datestyle: "ISO",
    autovacuum_naptime: "30s",
    autovacuum_vacuum_cost_limit: "400",
    max_parallel_workers_per_gather: "0",
    log_checkpoints: "off",
    log_min_messages: "warning",
    log_line_prefix: "%m ",
    // TCP only where asked for; the socket's folder lets nobody else in.
    listen_addresses: options.port === undefined ? "" : "127.0.0.1",
    ...options.settings,
  };
}

/**
 * Starts the cluster of a folder, making it at the first start.
 * @throws HanseError `STORAGE_FOLDER_IN_USE`, `STORAGE_FOLDER_CORRUPT`, `STORAGE_WIPED`,
 * `STORAGE_VERSION`, `STORAGE_NO_POSTGRES`, `STORAGE_START_FAILED`.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  fs.mkdirSync(options.dir, { recursive: true });
  const dir = fs.realpathSync(options.dir);
  const lock = await lockFolder(dir);
  try {
    return await startLocked(dir, options, () => lock.release());
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function startLocked(
  dir: string,
  options: EmbeddedPostgresOptions,
  release: () => void,
): Promise<EmbeddedPostgres> {
  const dataDir = path.join(dir, "data");
  const markerFile = path.join(dir, "storage.json");
  const user = userForPostgres(dataDir);
  openFolder(dir, user);
  const binaries = locatePostgres(user);
  const major = Number(/^\d+/.exec(binaries.version)?.[0]);
  const marker = readMarker(markerFile);
  const versionFile = path.join(dataDir, "PG_VERSION");
  const hasData = fs.existsSync(versionFile);
  const passwordFile = path.join(dir, "password");
  if (marker !== undefined && !hasData) {
    throw new HanseError(
      "STORAGE_WIPED",
      "corrupt",
      `${dir}: storage.json says that a ledger's data was here, but data/ is gone. Restore it from a copy, or remove storage.json as well to join anew`,
      { details: { dir } },
    );
  }
  let created = false;
  if (!hasData) {
    if (fs.existsSync(dataDir)) throw corrupt(dir, "data/ is there but is no PostgreSQL cluster");
    const password = randomBytes(24).toString("base64url");
    fs.writeFileSync(passwordFile, password, { mode: 0o600 });
    await initialize(dir, binaries, user, password);
    created = true;
  } else if (marker === undefined) {
    // The first start ended between making the cluster and marking it: it holds no ledger yet.
    created = true;
  }
  const dataMajor = Number(fs.readFileSync(versionFile, "utf8").trim());
  if (dataMajor !== major || (marker !== undefined && marker.postgresMajor !== major)) {
    throw new HanseError(
      "STORAGE_VERSION",
      "conflict",
      `${dir}: the data is of PostgreSQL ${dataMajor}, the programs are of ${major}: upgrade the cluster with pg_upgrade`,
      { details: { dir, data: dataMajor, programs: major } },
    );
  }
  await clearOrphan(dataDir);
  const socket = socketFolder(dir, user);
  const port = options.port === 0 ? await freePort() : options.port;
  const logFile = path.join(dir, "postgres.log");
  const args = ["-c", `unix_socket_directories=${socket}`];
  args.push("-c", `port=${port ?? SOCKET_PORT}`);
  for (const [name, value] of Object.entries(settingsOf(options)))
    args.push("-c", `${name}=${value}`);
  const socketUrl = (database: string) =>
    `postgres://${USER}@/${database}?host=${encodeURIComponent(socket)}&port=${port ?? SOCKET_PORT}`;
  const tcpUrl = () =>
    `postgres://${USER}:${fs.readFileSync(passwordFile, "utf8")}@127.0.0.1:${port}/${DATABASE}`;

  let child: ChildProcess | undefined;
  let ended: string | undefined;
  const deadline = Date.now() + START_TIMEOUT_MS;
  const folder = new DataFolder(dataDir, user);
  const isCut = fs.statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  const log = fs.openSync(logFile, isCut > LOG_BYTES_MAX ? "w" : "a");
  const logFrom = fs.fstatSync(log).size;
  try {
    for (;;) {
      const attempt = folder.spawn(binaries.postgres, args, log);
      child = attempt;
      ended = undefined;
      exited(attempt).then(
        (code) => {
          ended = `exit ${code}`;
        },
        (error: Error) => {
          ended = error.message;
        },
      );
      while (ended === undefined && !(await answers(socketUrl("postgres")))) {
        if (Date.now() > deadline) attempt.kill("SIGQUIT");
        await wait(15);
      }
      if (ended === undefined) break;
      const tail = logTail(logFile, logFrom);
      // Processes of a server that was killed hold its shared memory for a moment.
      const isTransient = /pre-existing shared memory|lock file "postmaster.pid"/.test(tail);
      if (!isTransient || Date.now() > deadline) {
        fs.rmSync(socket, { recursive: true, force: true });
        if (
          /PANIC|FATAL.*(invalid|corrupt|checksum|control file|bogus|missing|incompatible|could not (locate|open|read))/s.test(
            tail,
          )
        ) {
          throw corrupt(dir, `PostgreSQL refuses the data (${ended}): ${tail}`);
        }
        throw new HanseError(
          "STORAGE_START_FAILED",
          "unavailable",
          `${dir}: PostgreSQL does not start (${ended}): ${tail}`,
          { details: { dir } },
        );
      }
      await wait(200);
    }
  } finally {
    fs.closeSync(log);
  }
  const server = child;
  await makeDatabase(socketUrl("postgres"));
  if (marker === undefined) writeMarker(markerFile, { format: 1, postgresMajor: major });

  let stopping = false;
  const handlers: ((reason: string) => void)[] = [];
  const killWithUs = () => server.kill("SIGINT");
  process.once("exit", killWithUs);
  server.once("exit", (code, signal) => {
    ended ??= `exit ${code ?? signal}`;
    if (stopping) return;
    for (const handler of handlers) handler(`${ended}: ${logTail(logFile, logFrom)}`);
  });
  server.unref();
  const watcher = watchOver(server.pid!, user);
  return {
    url: port !== undefined && process.platform === "win32" ? tcpUrl() : socketUrl(DATABASE),
    dir,
    dataDir,
    pid: server.pid!,
    major,
    created,
    onExit(handler) {
      handlers.push(handler);
    },
    async stop() {
      if (stopping) return;
      stopping = true;
      watcher?.kill("SIGKILL");
      process.removeListener("exit", killWithUs);
      server.ref();
      if (ended === undefined) {
        const gone = exited(server);
        server.kill("SIGINT");
        const timer = setTimeout(() => server.kill("SIGQUIT"), STOP_TIMEOUT_MS);
        await gone;
        clearTimeout(timer);
      }
      fs.rmSync(socket, { recursive: true, force: true });
      release();
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

async function makeDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query("select 1 from pg_database where datname = $1", [
      DATABASE,
    ]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
}
