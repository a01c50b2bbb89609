/** What `npm start` tells once everything runs: addresses, accounts, commands to paste. */
import path from "node:path";
import type { NetworkFolder } from "../network-folder/network-folder.ts";
import { type Console, renderTable } from "../output/console.ts";
import { administratorOf, PEOPLE } from "./deeds-network.ts";

/** Where a node shows its API to people. */
export const DOCS_PATH = "/docs";

export function renderWelcome(
  network: NetworkFolder,
  paint: Console["paint"],
  workingFolder: string,
): string {
  const relative = path.relative(workingFolder, network.folder);
  const folder = relative.startsWith("..") ? network.folder : relative;
  const dir = folder === path.join(".hanse", "network") ? "" : ` --dir ${folder}`;
  const people = [
    ...network.nodes.map((node) => [
      administratorOf(node.org),
      node.org,
      "admin",
      "registers people",
    ]),
    ...PEOPLE.map((person) => [person.name, person.org, person.roles.join(", "), person.about]),
  ];
  const commands = [
    `npx hanse call DepositDeed${dir} --as anna --file Hash=LICENSE -p Title="Notice of termination" -p Claimant=Miller -p Addressee=Smith -p Bailiff=bailiff-nord`,
    `npx hanse call AcceptDeed${dir} --as berta -p Id=1`,
    `npx hanse call RecordService${dir} --as berta -p Id=1 -p Time=$(date +%s) -p Place="Harbour Street 1" -p Method="in person" -p Recipient=Smith`,
    `npx hanse query ShowDeed${dir} --as clara -p Id=1`,
    `npx hanse proof export <transaction of DepositDeed>${dir} --file LICENSE -o deed.receipt`,
    `npx hanse verify --receipt deed.receipt --genesis ${path.join(folder, "genesis.json")} --file LICENSE`,
  ];
  return [
    paint.bold(`Network ${network.manifest.network}, ledger ${network.manifest.ledger}`),
    paint.dim(`  ledger id ${network.manifest.ledgerId}`),
    paint.dim(`  folder    ${network.folder}`),
    "",
    renderTable(
      ["NODE", "PAGE AND API", "API DOCUMENTATION"],
      network.nodes.map((node) => [node.id, node.apiUrl, `${node.apiUrl}${DOCS_PATH}`]),
      paint,
    ),
    "",
    renderTable(["ACCOUNT", "ORGANIZATION", "ROLES", ""], people, paint),
    "",
    paint.bold("Next, in another terminal:"),
    ...commands.map((command) => `  ${command}`),
  ].join("\n");
}
