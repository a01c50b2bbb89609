/**
 * A room of its own on this machine: the program runs itself again in fresh namespaces of network,
 * mounts and processes, and gives every node a network namespace on one bridge. When the program
 * ends, however it ends, the kernel takes everything away again.
 */
import { spawn, spawnSync } from "node:child_process";
import process from "node:process";

const INSIDE = "HANSE_FAULTS_INSIDE";
/** What `unshare` makes: network, mounts and processes of one's own, gone with the program. */
export const ROOM = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
/** Of the bridge, from where the program talks to the nodes. */
export const OWN_ADDRESS = "10.77.0.254";
export const NETWORK_PORT = 7071;

export const addressOf = (node: number) => `10.77.0.${node + 1}`;
export const namespaceOf = (node: number) => `node-${node + 1}`;

function has(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

/** What this machine lacks for fault runs, in words; undefined = nothing. */
export function findMissing(): string | undefined {
  if (process.platform !== "linux") return "needs Linux, for its network namespaces";
  if (process.getuid?.() !== 0) return "needs root, to make network namespaces";
  if (!has("ip", "-V")) return "needs the program ip (package iproute2)";
  if (!has("nft", "--version")) return "needs the program nft (package nftables)";
  if (!has("unshare", "--net", "--mount", "--pid", "--fork", "true")) {
    return "this machine lets nobody make namespaces";
  }
  const probe = "ip link add probe type bridge && ip link add p0 type veth peer name p1";
  const rule =
    "nft add table inet t && nft add chain inet t c '{ type filter hook input priority 0; }' && nft add rule inet t c numgen random mod 100 '<' 1 drop";
  if (!has("unshare", "--net", "sh", "-c", `${probe} && ${rule}`)) {
    return "the kernel lacks bridges, veth pairs or nftables";
  }
  return undefined;
}

export const isInside = () => process.env[INSIDE] === "1";

/** Runs this very program again inside; resolves to its exit code. */
export function runInside(program: string, args: readonly string[]): Promise<number> {
  const child = spawn("unshare", [...ROOM, process.execPath, program, ...args], {
    stdio: "inherit",
    env: { ...process.env, [INSIDE]: "1" },
  });
  const pass = (signal: NodeJS.Signals) => () => child.kill(signal);
  process.on("SIGINT", pass("SIGINT"));
  process.on("SIGTERM", pass("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

/** Runs to its end. @throws Error with what it said when it fails. */
export function run(command: string, args: readonly string[], input?: string): void {
  const done = spawnSync(command, args, { input, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${done.stderr}`);
}

/** One command of `ip`, its words separated by spaces. */
export const ip = (line: string) => run("ip", line.split(" "));

/** Names of namespaces that are seen in here alone; only inside. */
export function hideNamespaces(): void {
  run("mount", ["--make-rprivate", "/"]);
  run("mkdir", ["-p", "/run/netns"]);
  run("mount", ["-t", "tmpfs", "none", "/run/netns"]);
  ip("link set lo up");
}

/** Only inside. */
export function createWires(nodes: number): void {
  hideNamespaces();
  ip("link add hub type bridge");
  ip(`addr add ${OWN_ADDRESS}/24 dev hub`);
  ip("link set hub up");
  for (let node = 0; node < nodes; node++) {
    const space = namespaceOf(node);
    ip(`netns add ${space}`);
    ip(`link add wire-${node + 1} type veth peer name eth0 netns ${space}`);
    ip(`link set wire-${node + 1} master hub up`);
    ip(`-n ${space} addr add ${addressOf(node)}/24 dev eth0`);
    ip(`-n ${space} link set eth0 up`);
    ip(`-n ${space} link set lo up`);
  }
}

/** Rules of nftables in a node's namespace, in place of those before; what others say stays out. */
export function setRules(node: number, rules: { in?: readonly string[]; out?: readonly string[] }) {
  const chain = (hook: string, lines: readonly string[] = []) =>
    `chain ${hook} { type filter hook ${hook} priority 0; policy accept;\n${lines.join("\n")}\n}`;
  const table = `table inet fault {\n${chain("input", rules.in)}\n${chain("output", rules.out)}\n}\n`;
  run(
    "ip",
    ["netns", "exec", namespaceOf(node), "nft", "-f", "-"],
    `table inet fault\ndelete table inet fault\n${table}`,
  );
}

export const clearRules = (node: number) => setRules(node, {});

/** New connections of a node to another's network port go to a port of the program instead; 0 = no more. */
export function redirect(node: number, to: number, port: number): void {
  const rule = `ip daddr ${addressOf(to)} tcp dport ${NETWORK_PORT} dnat to ${OWN_ADDRESS}:${port}`;
  const chain = `chain output { type nat hook output priority -100; ${port === 0 ? "" : rule}\n}`;
  run(
    "ip",
    ["netns", "exec", namespaceOf(node), "nft", "-f", "-"],
    `table ip detour\ndelete table ip detour\ntable ip detour {\n${chain}\n}\n`,
  );
}

/** Packets to these nodes vanish. */
export const dropTo = (nodes: readonly number[]) =>
  nodes.map((node) => `ip daddr ${addressOf(node)} drop`);

/** So many of a hundred packets of other nodes vanish at random. */
export const loseFromOthers = (percent: number) => [
  `ip saddr != ${OWN_ADDRESS} ip saddr 10.77.0.0/24 numgen random mod 100 < ${percent} drop`,
];

/** More than so many kilobytes per second from other nodes vanish. */
export const slowFromOthers = (kilobytesPerSecond: number) => [
  `ip saddr != ${OWN_ADDRESS} ip saddr 10.77.0.0/24 limit rate over ${kilobytesPerSecond} kbytes/second burst 32 kbytes drop`,
];
