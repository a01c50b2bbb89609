/**
 * Goal: the life of a deed as its rules say, and nothing beside them. Method: a real ledger in
 * memory; random actors and actions against a model that a reader can check by eye.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import type { LedgerStore } from "@hanse/ledger";
import { HanseError, type Hash } from "@hanse/protocol";
import { openLedgerStore, type PostgresLedgerStore, startEmbeddedPostgres } from "@hanse/storage";
import fc from "fast-check";
import { type Driver, type Person, packFolder, startDriver } from "../testing/ledger-driver.ts";

const PEOPLE: readonly Person[] = [
  { name: "anna", org: "adler-law", roles: ["lawyer"] },
  { name: "alf", org: "adler-law", roles: [] },
  { name: "bruno", org: "brandt-law", roles: ["lawyer"] },
  { name: "berta", org: "bailiff-nord", roles: ["bailiff"] },
  { name: "clara", org: "court", roles: ["judge"] },
  // A firm may give its own people any role; that makes it neither a court nor a bailiff's office.
  { name: "mallory", org: "brandt-law", roles: ["judge", "bailiff"] },
];

async function installed(...store: OpenStore): Promise<Driver> {
  const driver = await startDriver(PEOPLE, ...store);
  const outcome = await driver.call("root", "app.install", {
    package: packFolder(import.meta.dirname),
  });
  assert.equal(outcome.code, "ok", outcome.error);
  return driver;
}

type OpenStore = [] | [(ledgerId: Hash) => Promise<LedgerStore>];

const hash = (digit: string) => digit.repeat(64);

const deposit = (digit: string, more: object = {}) => ({
  Hash: hash(digit),
  Title: "Statement of claim",
  Claimant: "Miller",
  Addressee: "Smith",
  ...more,
});

type Json = Readonly<Record<string, unknown>>;

async function ok(driver: Driver, person: string, name: string, params: object): Promise<string> {
  const outcome = await driver.call(person, name, { ...params });
  assert.equal(outcome.code, "ok", `${name} by ${person}: ${outcome.error}`);
  return outcome.result;
}

async function refused(
  driver: Driver,
  person: string,
  name: string,
  params: object,
  reason: RegExp,
): Promise<void> {
  const root = driver.ledger.tip.stateRoot;
  const outcome = await driver.call(person, name, { ...params });
  assert.notEqual(outcome.code, "ok", `${name} by ${person} must be refused`);
  assert.match(outcome.error, reason);
  assert.deepEqual(driver.ledger.tip.stateRoot, root, "a refused call leaves no change");
}

test("a deed is deposited, assigned, accepted, served and read by the court", async () => {
  const driver = await installed();
  const outcome = await driver.call("anna", "DepositDeed", deposit("a"));
  assert.equal(outcome.code, "ok", outcome.error);
  const id = Number(outcome.result);
  assert.deepEqual(
    outcome.events.map((event) => [event.name, JSON.parse(event.data)]),
    [["deeds.deposited", { id, hash: hash("a"), firm: "adler-law", bailiff: "" }]],
  );
  await ok(driver, "anna", "AssignDeed", { Id: id, Bailiff: "bailiff-nord" });
  await ok(driver, "berta", "AcceptDeed", { Id: id });
  const served = await driver.call("berta", "RecordService", {
    Id: id,
    Time: driver.now(),
    Place: "Harbour Street 1",
    Method: "in person",
    Recipient: "Smith",
    NoteHash: hash("b"),
  });
  assert.equal(served.code, "ok", served.error);
  assert.deepEqual(
    served.events.map((event) => event.name),
    ["deeds.served"],
  );
  for (const person of ["anna", "berta", "clara"]) {
    const shown = driver.query(person, "ShowDeed", { Hash: hash("a") }) as Json;
    assert.equal(shown.state, "served", person);
    assert.equal((shown.services as Json[])[0]!.recipient, "Smith", person);
  }
  for (const person of ["bruno", "mallory", "alf", "root", undefined]) {
    assert.deepEqual(driver.query(person, "ListDeeds"), [], String(person));
    assert.throws(() => driver.query(person, "ShowDeed", { Id: id }), /no such deed/);
    assert.deepEqual(driver.query(person, "table.rows", { table: "services", count: true }), {
      rows: [],
      count: "0",
    });
  }
  await driver.stop();
});

test("a failed service can be assigned again, and both attempts stay on record", async () => {
  const driver = await installed();
  const id = Number(
    await ok(driver, "anna", "DepositDeed", deposit("c", { Bailiff: "bailiff-nord" })),
  );
  await ok(driver, "berta", "AcceptDeed", { Id: id });
  await ok(driver, "berta", "RecordFailure", { Id: id, Time: driver.now(), Reason: "moved away" });
  await ok(driver, "anna", "AssignDeed", { Id: id, Bailiff: "bailiff-nord" });
  await ok(driver, "berta", "AcceptDeed", { Id: id });
  await ok(driver, "berta", "RecordService", {
    Id: id,
    Time: driver.now(),
    Place: "New Road 2",
    Method: "letter box",
    Recipient: "Smith",
  });
  const shown = driver.query("clara", "ShowDeed", { Id: id }) as Json;
  assert.deepEqual(
    (shown.services as Json[]).map((service) => service.outcome),
    ["failed", "served"],
  );
  await driver.stop();
});

test("every bad input is refused with its reason and leaves nothing", async () => {
  const driver = await installed();
  const id = Number(await ok(driver, "anna", "DepositDeed", deposit("d")));
  const service = {
    Id: id,
    Time: driver.now(),
    Place: "Harbour Street 1",
    Method: "in person",
    Recipient: "Smith",
  };
  await refused(driver, "anna", "DepositDeed", deposit("d"), /deposited already/);
  await refused(driver, "bruno", "DepositDeed", deposit("d"), /deposited already/);
  await refused(driver, "anna", "DepositDeed", deposit("D"), /Hash: expected/);
  await refused(driver, "anna", "DepositDeed", { ...deposit("e"), Title: "" }, /Title: expected/);
  await refused(
    driver,
    "anna",
    "DepositDeed",
    deposit("e", { Bailiff: "court" }),
    /Bailiff: court is no/,
  );
  await refused(driver, "alf", "DepositDeed", deposit("e"), /only a lawyer/);
  await refused(driver, "clara", "DepositDeed", deposit("e"), /only a lawyer/);
  await refused(driver, "mallory", "AcceptDeed", { Id: id }, /only a bailiff of/);
  await refused(driver, "bruno", "AssignDeed", { Id: id, Bailiff: "bailiff-nord" }, /no deed/);
  await refused(driver, "bruno", "WithdrawDeed", { Id: id }, /no deed/);
  await refused(driver, "berta", "AcceptDeed", { Id: id }, /no deed .* assigned to your office/);
  await ok(driver, "anna", "AssignDeed", { Id: id, Bailiff: "bailiff-nord" });
  await refused(driver, "berta", "RecordService", service, /accept it before/);
  await ok(driver, "berta", "AcceptDeed", { Id: id });
  await refused(driver, "anna", "WithdrawDeed", { Id: id }, /can no longer be withdrawn/);
  const future = { ...service, Time: driver.now() + 3600 };
  await refused(driver, "berta", "RecordService", future, /cannot lie in the future/);
  const past = { ...service, Time: driver.now() - 3600 };
  await refused(driver, "berta", "RecordService", past, /before the deposit/);
  await refused(
    driver,
    "berta",
    "RecordService",
    { ...service, Method: "mail" },
    /Method: expected/,
  );
  await refused(driver, "berta", "RecordService", { ...service, NoteHash: "1" }, /NoteHash/);
  await ok(driver, "berta", "RecordService", service);
  await refused(driver, "berta", "RecordService", service, /is served/);
  await assert.rejects(driver.call("anna", "DepositDeed", { Hash: hash("e") }), {
    code: "NEEDLE_PARAM_MISSING",
    message: /Title/,
  });
  await assert.rejects(driver.call("anna", "NoSuchContract"), { code: "NEEDLE_NO_CONTRACT" });
  await driver.stop();
});

type State = "deposited" | "assigned" | "accepted" | "served" | "failed" | "withdrawn";
interface ModelDeed {
  readonly firm: string;
  readonly hash: string;
  bailiff: string;
  state: State;
}
type Verb = "Deposit" | "Assign" | "Accept" | "Serve" | "Fail" | "Withdraw";
interface Action {
  readonly person: string;
  readonly verb: Verb;
  readonly deed: number;
  readonly digit: string;
}

/** What the rules say; undefined = refused. */
function expected(
  deeds: ModelDeed[],
  { person, verb, deed, digit }: Action,
): (() => void) | undefined {
  const { org, roles } = PEOPLE.find(({ name }) => name === person)!;
  const isLawyer = org.endsWith("-law") && roles.includes("lawyer");
  const isBailiff = org === "bailiff-nord" && roles.includes("bailiff");
  if (verb === "Deposit") {
    if (!isLawyer) return undefined;
    const taken = deeds.some((item) => item.hash === hash(digit) && item.state !== "withdrawn");
    if (taken) return undefined;
    return () => deeds.push({ firm: org, hash: hash(digit), bailiff: "", state: "deposited" });
  }
  const found = deeds[deed];
  if (found === undefined) return undefined;
  const to = (state: State) => () => {
    found.state = state;
  };
  switch (verb) {
    case "Assign":
      if (!isLawyer || found.firm !== org) return undefined;
      if (found.state !== "deposited" && found.state !== "failed") return undefined;
      return () => {
        found.bailiff = "bailiff-nord";
        found.state = "assigned";
      };
    case "Withdraw":
      if (!isLawyer || found.firm !== org) return undefined;
      return ["deposited", "assigned", "failed"].includes(found.state)
        ? to("withdrawn")
        : undefined;
    case "Accept":
      return isBailiff && found.bailiff === org && found.state === "assigned"
        ? to("accepted")
        : undefined;
    default:
      if (!isBailiff || found.bailiff !== org || found.state !== "accepted") return undefined;
      return to(verb === "Serve" ? "served" : "failed");
  }
}

function perform(driver: Driver, { person, verb, deed, digit }: Action) {
  const Id = deed + 1;
  const Time = driver.now();
  switch (verb) {
    case "Deposit":
      return driver.call(person, "DepositDeed", deposit(digit));
    case "Assign":
      return driver.call(person, "AssignDeed", { Id, Bailiff: "bailiff-nord" });
    case "Accept":
      return driver.call(person, "AcceptDeed", { Id });
    case "Serve":
      return driver.call(person, "RecordService", {
        Id,
        Time,
        Place: "Harbour Street 1",
        Method: "posting",
        Recipient: "Smith",
      });
    case "Fail":
      return driver.call(person, "RecordFailure", { Id, Time, Reason: "nobody there" });
    case "Withdraw":
      return driver.call(person, "WithdrawDeed", { Id });
  }
}

function seenBy(deeds: readonly ModelDeed[], { org, roles }: Person): ModelDeed[] {
  return deeds.filter(
    (deed) =>
      (org === "court" && roles.includes("judge")) ||
      (org === "bailiff-nord" && roles.includes("bailiff") && deed.bailiff === org) ||
      (org.endsWith("-law") && roles.includes("lawyer") && deed.firm === org),
  );
}

const action = fc.record<Action>({
  person: fc.constantFrom(...PEOPLE.map(({ name }) => name)),
  verb: fc.constantFrom<Verb>("Deposit", "Assign", "Accept", "Serve", "Fail", "Withdraw"),
  deed: fc.nat(4),
  digit: fc.constantFrom("1", "2", "3", "4"),
});

test("random people doing random things change exactly what the rules say", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 40, maxLength: 80 }), async (actions) => {
      const driver = await installed();
      const deeds: ModelDeed[] = [];
      for (const step of actions) {
        const change = expected(deeds, step);
        const outcome = await perform(driver, step);
        const place = `${step.verb} of ${step.deed} by ${step.person}: ${outcome.error}`;
        assert.equal(outcome.code === "ok", change !== undefined, place);
        change?.();
      }
      for (const person of PEOPLE) {
        const shown = driver.query(person.name, "ListDeeds", { Limit: 100 }) as Json[];
        assert.deepEqual(
          shown.map(({ hash: text, firm, bailiff, state }) => ({
            hash: text,
            firm,
            bailiff,
            state,
          })),
          seenBy(deeds, person)
            .map(({ hash: text, firm, bailiff, state }) => ({ hash: text, firm, bailiff, state }))
            .reverse(),
          person.name,
        );
      }
      await driver.stop();
    }),
    { numRuns: 10 },
  );
});

test("a ledger over PostgreSQL goes the same way as one in memory, and reads the same", async () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), "hanse-deeds-"));
  const postgres = await startEmbeddedPostgres({ dir, settings: { fsync: "off" } });
  try {
    let store: PostgresLedgerStore | undefined;
    const durable = await installed(async (ledgerId) => {
      // A cache this small makes most reads go to the database.
      store = await openLedgerStore({ database: postgres, ledgerId, cacheRowsMax: 16 });
      return store;
    });
    const memory = await installed();
    for (const step of fc.sample(action, { numRuns: 150, seed: 7 })) {
      const [left, right] = [await perform(durable, step), await perform(memory, step)];
      assert.deepEqual(left, right, `${step.verb} of ${step.deed} by ${step.person}`);
      assert.deepEqual(durable.ledger.tip.stateRoot, memory.ledger.tip.stateRoot);
    }
    const reads: readonly (readonly [string, object])[] = [
      ["ListDeeds", {}],
      ["ListDeeds", { State: "withdrawn" }],
      [
        "table.rows",
        { table: "deeds", where: { hash: { $begin: "1" } }, order: [{ state: "-1" }] },
      ],
      [
        "table.rows",
        { table: "deeds", where: { $or: [{ state: "served" }, { id: { $in: [1, 3] } }] } },
      ],
      ["table.rows", { table: "services", columns: "deed_id, outcome", count: true }],
      ["app.show", { name: "deeds" }],
    ];
    for (const { name } of PEOPLE) {
      for (const [read, input] of reads) {
        assert.deepEqual(durable.query(name, read, input), memory.query(name, read, input), name);
      }
    }
    await durable.stop();
    await memory.stop();
    await store?.close();
  } finally {
    await postgres.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

test("an application is installed by an administrator of the network only", async () => {
  const driver = await startDriver(PEOPLE);
  const outcome = await driver.call("anna", "app.install", {
    package: packFolder(import.meta.dirname),
  });
  assert.equal(outcome.code, "APP_DENIED", outcome.error);
  await assert.rejects(
    driver.call("root", "app.install", { package: new Uint8Array(10) }),
    (error) => error instanceof HanseError,
  );
  await driver.stop();
});
