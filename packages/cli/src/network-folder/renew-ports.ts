/** Other ports for a network whose old ones were taken by somebody else. */
import { readFileSync, writeFileSync } from "node:fs";
import { type NodeConfigInput, renderConfigToml } from "@hanse/node";
import { HanseError } from "@hanse/protocol";
import { parse } from "smol-toml";
import { findRunningProcess } from "../processes/node-process.ts";
import { writeCometHomes } from "./comet-homes.ts";
import { findFreePorts } from "./free-ports.ts";
import {
  type NetworkFolder,
  type NetworkManifest,
  resolveNetworkFolder,
  saveManifest,
} from "./network-folder.ts";

/** @throws HanseError `CLI_NODES_RUN` when a node of the network still runs, `CLI_NO_PORT`. */
export async function renewPorts(
  network: NetworkFolder,
  portBase?: number,
): Promise<NetworkFolder> {
  const running = network.nodes.filter((node) => findRunningProcess(node) !== undefined);
  if (running.length > 0) {
    throw new HanseError(
      "CLI_NODES_RUN",
      "conflict",
      `${running.map((node) => node.id).join(", ")}: still running; stop them with \`hanse network down\` first`,
    );
  }
  const count = network.nodes.length;
  const hasComet = network.nodes.some((node) => node.comet !== undefined);
  const ports = await findFreePorts((hasComet ? 4 : 2) * count, portBase);
  const manifest: NetworkManifest = {
    ...network.manifest,
    nodes: network.manifest.nodes.map((node, i) => ({
      ...node,
      apiPort: ports[i]!,
      networkPort: ports[count + i]!,
      ...(hasComet
        ? { comet: { linkPort: ports[2 * count + i]!, rpcPort: ports[3 * count + i]! } }
        : {}),
    })),
  };
  const renewed = resolveNetworkFolder(network.folder, manifest);
  const addresses = new Map(
    renewed.nodes.map((node) => [node.id, `127.0.0.1:${node.networkPort}`]),
  );
  for (const node of renewed.nodes) {
    const old = parse(readFileSync(node.configFile, "utf8")) as NodeConfigInput;
    const changed: NodeConfigInput = {
      ...old,
      api: { ...old.api, port: node.apiPort },
      network: {
        ...old.network,
        port: node.networkPort,
        peers: (old.network?.peers ?? []).map((peer) => ({
          id: peer.id,
          address: addresses.get(peer.id) ?? peer.address,
        })),
      },
      ...(node.comet === undefined ? {} : { comet: { ...old.comet, rpcPort: node.comet.rpcPort } }),
    };
    writeFileSync(
      node.configFile,
      `# Node ${node.id} of network ${manifest.network}.\n${renderConfigToml(changed)}`,
    );
  }
  saveManifest(network.folder, manifest);
  await writeCometHomes(renewed);
  return renewed;
}
