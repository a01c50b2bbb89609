/** The etcd of a network on this machine: three members in the network's folder, or somebody else's. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

export interface EtcdManifest {
  /** Client addresses, as the nodes use them. */
  readonly urls: readonly string[];
  /** Present when the network runs etcd itself. */
  readonly members?: readonly EtcdMember[];
}

export interface EtcdMember {
  /** `etcd-1`… */
  readonly name: string;
  /** Below the network's folder. */
  readonly folder: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

/** A member with every path made absolute. */
export interface EtcdMemberEntry extends EtcdMember {
  readonly configFile: string;
  readonly logFile: string;
  readonly processFile: string;
}

/** Members of an etcd that a network runs itself: the least that survives one. */
export const ETCD_MEMBERS = 3;
/** Ports that it needs. */
export const ETCD_PORTS = 2 * ETCD_MEMBERS;

const HOST = "127.0.0.1";

export function planEtcd(ports: readonly number[]): EtcdManifest {
  const members = Array.from({ length: ETCD_MEMBERS }, (_, i) => ({
    name: `etcd-${i + 1}`,
    folder: path.join("etcd", `etcd-${i + 1}`),
    clientPort: ports[i]!,
    peerPort: ports[ETCD_MEMBERS + i]!,
  }));
  return { urls: members.map(({ clientPort }) => `http://${HOST}:${clientPort}`), members };
}

export function resolveEtcdMembers(
  networkFolder: string,
  manifest: EtcdManifest | undefined,
): readonly EtcdMemberEntry[] {
  return (manifest?.members ?? []).map((member) => {
    const folder = path.join(networkFolder, member.folder);
    return {
      ...member,
      folder,
      configFile: path.join(folder, "etcd.yaml"),
      logFile: path.join(folder, "etcd.log"),
      processFile: path.join(folder, "process.json"),
    };
  });
}

/** Folder and configuration of each member; JSON is YAML too. */
export function writeEtcdMembers(networkFolder: string, manifest: EtcdManifest): void {
  const members = resolveEtcdMembers(networkFolder, manifest);
  const peerUrl = ({ peerPort }: EtcdMember) => `http://${HOST}:${peerPort}`;
  for (const member of members) {
    const clientUrl = `http://${HOST}:${member.clientPort}`;
    mkdirSync(member.folder, { recursive: true, mode: 0o700 });
    const config = {
      name: member.name,
      "data-dir": path.join(member.folder, "data"),
      "listen-client-urls": clientUrl,
      "advertise-client-urls": clientUrl,
      "listen-peer-urls": peerUrl(member),
      "initial-advertise-peer-urls": peerUrl(member),
      "initial-cluster": members.map((one) => `${one.name}=${peerUrl(one)}`).join(","),
      "initial-cluster-token": path.basename(networkFolder),
      "initial-cluster-state": "new",
      // Off by default where a file configures etcd 3.4, although its documentation says on.
      "enable-grpc-gateway": true,
    };
    writeFileSync(member.configFile, `${JSON.stringify(config, undefined, 2)}\n`);
  }
}
