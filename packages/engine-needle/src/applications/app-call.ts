/** `app.install` and `app.upgrade`: applications as transactions. */
import {
  type AppPackage,
  DEVELOPER_CONDITION_SOURCE,
  decodePackageFiles,
  type InstallContext,
  type InstallReport,
  installApplication,
  MAIN_CONDITION_SOURCE,
  packageHashOf,
  parseAppPackage,
  type Right,
  upgradeApplication,
} from "@hanse/ecosystem";
import {
  type ContractSignature,
  checkNeedle,
  compileCondition,
  diagnosticToText,
} from "@hanse/needle";
import { type Bytes, type CborValue, HanseError, toHex } from "@hanse/protocol";
import type { RunContext } from "../host/run-context.ts";
import { type NeedleCall, SYSTEM_CALLS } from "../payload/call.ts";
import { checkContract, compileContract } from "../programs/program-cache.ts";

/** Fuel of an installation: so much for each byte of its package. */
export const FUEL_PACKAGE_BYTE = 4;

export interface AppCall {
  readonly verb: "install" | "upgrade";
  readonly packageBytes: Bytes;
  readonly app: AppPackage;
  readonly ecosystem: number;
}

export function isAppCall(call: NeedleCall): boolean {
  return call.name === SYSTEM_CALLS.install || call.name === SYSTEM_CALLS.upgrade;
}

function refuse(message: string): never {
  throw new HanseError("NEEDLE_PARAMS", "malformed", message);
}

/** @throws HanseError `NEEDLE_PARAMS`, `APP_PACKAGE_*` and the other errors of packages. */
export function parseAppCall(call: NeedleCall): AppCall {
  const verb = call.name === SYSTEM_CALLS.install ? "install" : "upgrade";
  let packageBytes: CborValue | undefined;
  let { ecosystem } = call;
  for (const [name, value] of call.params) {
    if (name === "package") packageBytes = value;
    else if (name === "ecosystem" && typeof value === "number" && value >= 1) ecosystem = value;
    else
      refuse(`${call.name}: '${name.slice(0, 60)}' parameter is not required or has a wrong type`);
  }
  if (!(packageBytes instanceof Uint8Array)) {
    refuse(`${call.name}: Parameter package has not been found, or is not bytes`);
  }
  const app = parseAppPackage(decodePackageFiles(packageBytes));
  return { verb, packageBytes, app, ecosystem };
}

/** Forms that rights know by themselves and the language does not. */
const ONLY_FORMS = /\b(OrgAccess|OrgInParam)\b/;

/**
 * Refuses a condition that is no expression, or that calls what is not there.
 * @throws HanseError `NEEDLE_CONDITION` naming the field.
 */
export function validateCondition(
  field: string,
  right: Right,
  ecosystem: number,
  known: (fullName: string) => ContractSignature | undefined,
): void {
  if (right.kind !== "expression") return;
  const fail = (message: string): never => {
    throw new HanseError("NEEDLE_CONDITION", "malformed", `${field}: ${right.text}: ${message}`, {
      details: { field },
    });
  };
  const form = ONLY_FORMS.exec(right.text)?.[1];
  if (form !== undefined) {
    fail(`${form} stands alone or joined with other access functions by &&, || and !`);
  }
  const { condition, diagnostics } = compileCondition(right.text, BigInt(ecosystem));
  const broken = diagnostics.find((item) => item.severity === "error");
  if (condition === undefined) fail(diagnosticToText(broken!));
  const program = `func condition() bool { return ${right.text}\n}`;
  const environment = { ecosystem: BigInt(ecosystem), findContract: known };
  const unknown = checkNeedle(program, environment).find((item) => item.severity === "error");
  if (unknown !== undefined) fail(unknown.message);
}

/**
 * Refuses an application whose contracts do not compile, or call what is neither in it nor
 * `installed` (by full name). Returns what looks up both.
 * @throws HanseError `NEEDLE_COMPILE`
 */
export function compileApplication(
  { app, ecosystem }: AppCall,
  installed: (fullName: string) => ContractSignature | undefined,
): (fullName: string) => ContractSignature | undefined {
  return compileContracts(app, ecosystem, installed);
}

function compileContracts(
  app: AppPackage,
  ecosystem: number,
  installed: (fullName: string) => ContractSignature | undefined,
): (fullName: string) => ContractSignature | undefined {
  const own = new Map<string, ContractSignature>();
  for (const { file, name, source } of app.contracts) {
    const contract = compileContract(source, ecosystem, name, file);
    own.set(contract.fullName, contract);
  }
  const known = (fullName: string) => own.get(fullName) ?? installed(fullName);
  for (const { file, source } of app.contracts) checkContract(source, ecosystem, file, known);
  return known;
}

/** Contracts that every ecosystem has from genesis. */
const SEEDED: readonly (readonly [string, string])[] = [
  ["MainCondition", MAIN_CONDITION_SOURCE],
  ["DeveloperCondition", DEVELOPER_CONDITION_SOURCE],
];

/**
 * Checks an application's contracts without a ledger, for whoever writes it. With `allowMissing`
 * calls of what is neither in it nor in every ecosystem are left to the ledger that installs it.
 * @throws HanseError `NEEDLE_COMPILE` with file, line and column.
 */
export function checkApplication(
  app: AppPackage,
  { ecosystem = 1, allowMissing = false } = {},
): void {
  if (allowMissing) {
    for (const { file, name, source } of app.contracts) {
      compileContract(source, ecosystem, name, file);
    }
    return;
  }
  const seeded = new Map<string, ContractSignature>();
  for (const [name, source] of SEEDED) {
    const contract = compileContract(source, ecosystem, name, name);
    seeded.set(contract.fullName, contract);
  }
  compileContracts(app, ecosystem, (fullName) => seeded.get(fullName));
}

export interface AppResult extends InstallReport {
  readonly packageHash: string;
}

/** Writes the application into the state of the run. @throws HanseError */
export function applyAppCall(
  call: AppCall,
  run: RunContext,
  installed: (fullName: string) => ContractSignature | undefined,
  allows: (condition: string) => boolean,
): AppResult {
  const { ecosystem } = call;
  const known = compileApplication(call, installed);
  const context: InstallContext = {
    ecosystem,
    keyId: run.sender?.keyId ?? 0n,
    time: run.block.time,
    validateCondition: (field, right) => validateCondition(field, right, ecosystem, known),
    allows,
  };
  const hash = packageHashOf(call.packageBytes);
  const apply = call.verb === "install" ? installApplication : upgradeApplication;
  const report = apply(run.state, call.app, hash, context);
  run.forgetCatalog();
  run.events.push({
    name: call.verb === "install" ? "app.installed" : "app.upgraded",
    data: JSON.stringify({ name: report.name, version: report.version }),
  });
  return { ...report, packageHash: toHex(hash) };
}

export function appResultText(result: AppResult): string {
  return JSON.stringify({
    appId: Number(result.appId),
    name: result.name,
    version: result.version,
    ...(result.previousVersion === undefined ? {} : { previousVersion: result.previousVersion }),
    tables: result.tables,
    contracts: result.contracts,
    packageHash: result.packageHash,
  });
}
