/** The command's own functions, for programs that set up and drive networks on one machine. */
export { type LoadedPackage, loadPackage } from "./applications/load-package.ts";
export { type AccountRegistration, registerAccount } from "./client/accounts.ts";
export {
  type ContractField,
  hashFile,
  parseCallParameters,
} from "./client/call-parameters.ts";
export {
  decideOn,
  type ProposalView,
  propose,
  proveReadiness,
  readProposals,
  readRules,
  readSets,
  registerNode,
} from "./client/governance.ts";
export {
  type AccountView,
  type ApplicationView,
  type BlockView,
  type ContractCall,
  type LedgerCall,
  LedgerClient,
  type LedgerClientOptions,
  type NativeCall,
  openLedger,
  type TransactionView,
} from "./client/ledger-client.ts";
export { type NodeProbe, probeNode } from "./client/node-probe.ts";
export { type CheckOptions, runCheck } from "./main-job/check.ts";
export {
  type AccountKey,
  accountIdHex,
  createAccountKey,
  listAccountNames,
  loadAccountKey,
  loadNamedAccount,
  saveAccountKey,
} from "./network-folder/account-key.ts";
export { type AddedNode, addNodeFolder } from "./network-folder/add-node.ts";
export { writeCometHomes } from "./network-folder/comet-homes.ts";
export { type CreateNetworkOptions, createNetworkFolder } from "./network-folder/create-network.ts";
export { findFreePorts } from "./network-folder/free-ports.ts";
export {
  loadNetworkFolder,
  type NetworkFolder,
  type NodeEntry,
  selectNodes,
} from "./network-folder/network-folder.ts";
export {
  ADMIN_ROLE,
  countedTemplate,
  NETWORK_ADMIN_ROLE,
  type NetworkTemplate,
  namedTemplate,
  type OrganizationTemplate,
  soloTemplate,
  validateTemplate,
} from "./network-folder/template.ts";
export { renderTable } from "./output/console.ts";
export { EXIT_CODES, type ExitCode } from "./output/exit-codes.ts";
export { findEtcdBinary } from "./processes/etcd-processes.ts";
export { downNetwork, readNetworkStatus, upNetwork } from "./processes/network-lifecycle.ts";
export { describeEnd, findRunningProcess, sendSignal } from "./processes/node-process.ts";
export { describeProgram, runHanse } from "./program.ts";
export { addDocuments } from "./receipts/add-documents.ts";
export { verifyOffline } from "./receipts/verify-offline.ts";
export { PLOT_CONFIG } from "./simulations/plots/plot-config.ts";
export { renderPlot } from "./simulations/plots/render-plot.ts";
export {
  compareNodes,
  type NetworkComparison,
  type NodeHealth,
  type NodeSnapshot,
} from "./status/node-snapshot.ts";
export { type OrderingView, readOrdering, renderOrdering } from "./status/ordering-view.ts";
