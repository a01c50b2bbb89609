/** The page's behaviour: three places for files, one verdict. Nothing leaves the browser. */
import {
  type CheckedFile,
  type FileVerdict,
  parseTrust,
  provenStatements,
  verdictSentence,
  verifyReceiptFile,
} from "../src/index.ts";

type Slot = "receipt" | "trust" | "documents";

interface LoadedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Files larger than this are not read into the page's memory, bytes. */
const FILE_BYTES_MAX = 1024 * 1024 * 1024;

const loaded: Record<Slot, readonly LoadedFile[]> = { receipt: [], trust: [], documents: [] };

function element<E extends HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page lacks #${id}`);
  return found as E;
}

/** Texts of others could turn or hide what stands beside them: invisible characters are shown. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) =>
    character === "\n" ? character : "\ufffd",
  );
}

function append(parent: Element, tag: string, text: string, className = ""): HTMLElement {
  const child = document.createElement(tag);
  child.textContent = visible(text);
  if (className !== "") child.className = className;
  parent.append(child);
  return child;
}

function showVerdict(verdict: FileVerdict): void {
  const headline = element("headline");
  headline.textContent = verdict.ok ? "Verified" : "Refused";
  element("result").className = verdict.ok ? "verified" : "refused";
  element("sentence").textContent = visible(verdictSentence(verdict).replace(/^\w+\. /, ""));

  const facts = element("facts");
  facts.replaceChildren();
  for (const { title, entries } of provenStatements(verdict)) {
    const section = append(facts, "section", "");
    append(section, "h3", title);
    const list = append(section, "dl", "");
    for (const [label, text] of entries) {
      append(list, "dt", label);
      append(list, "dd", text);
    }
  }

  const rows = element("checks");
  rows.replaceChildren();
  for (const { name, ok, detail } of verdict.checks) {
    const row = append(rows, "tr", "", ok ? "passed" : "failed");
    append(row, "td", ok ? "passed" : "failed", "mark");
    append(row, "th", name).setAttribute("scope", "row");
    append(row, "td", detail);
  }
  element("details").hidden = false;
}

function showProblem(text: string): void {
  element("headline").textContent = "Cannot check";
  element("result").className = "problem";
  element("sentence").textContent = visible(text);
  element("facts").replaceChildren();
  element("details").hidden = true;
}

function showWaiting(): void {
  const missing = [
    loaded.receipt.length === 0 ? "a receipt" : "",
    loaded.trust.length === 0 ? "the genesis document or a trusted set" : "",
  ].filter((text) => text !== "");
  element("headline").textContent = "Waiting for files";
  element("result").className = "waiting";
  element("sentence").textContent = `Choose ${missing.join(" and ")}.`;
  element("facts").replaceChildren();
  element("details").hidden = true;
}

/** Counts checks, so that a slow one never overwrites the verdict of a later one. */
let checkNumber = 0;

async function check(): Promise<void> {
  const number = ++checkNumber;
  const [receipt] = loaded.receipt;
  const [trustFile] = loaded.trust;
  if (receipt === undefined || trustFile === undefined) {
    showWaiting();
    return;
  }
  let trust: ReturnType<typeof parseTrust>;
  try {
    trust = parseTrust(trustFile.bytes);
  } catch (thrown) {
    showProblem(`${trustFile.name}: ${(thrown as Error).message}`);
    return;
  }
  try {
    const files: readonly CheckedFile[] = loaded.documents;
    const verdict = await verifyReceiptFile(receipt.bytes, trust, files);
    if (number === checkNumber) showVerdict(verdict);
  } catch (thrown) {
    if (number === checkNumber) showProblem((thrown as Error).message);
  }
}

async function load(slot: Slot, files: readonly File[]): Promise<void> {
  if (files.length === 0) return;
  const tooLarge = files.find((file) => file.size > FILE_BYTES_MAX);
  if (tooLarge !== undefined) {
    showProblem(`${tooLarge.name} is larger than this page reads; use the hanse-verify program.`);
    return;
  }
  try {
    const read = await Promise.all(
      files.map(async (file) => ({
        name: file.name,
        bytes: new Uint8Array(await file.arrayBuffer()),
      })),
    );
    loaded[slot] = slot === "documents" ? read : read.slice(0, 1);
  } catch (thrown) {
    showProblem(`A file cannot be read: ${(thrown as Error).message}`);
    return;
  }
  await check();
}

for (const slot of ["receipt", "trust", "documents"] as const) {
  const input = element<HTMLInputElement>(slot);
  const zone = element(`${slot}-zone`);
  input.addEventListener("change", () => void load(slot, [...(input.files ?? [])]));
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const dropped = event.dataTransfer?.files;
    if (dropped === undefined || dropped.length === 0) return;
    // The input shows the name, as if the file had been chosen there.
    input.files = dropped;
    void load(slot, [...dropped]);
  });
}
// A file dropped beside the places must not replace the page.
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => event.preventDefault());
}
showWaiting();
