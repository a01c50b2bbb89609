import assert from "node:assert/strict";
import { test } from "node:test";
import { createSampleGenesis, namedKeyPair } from "../../scripts/sample-ledger.ts";
import { toHex } from "../encoding/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { nearestName } from "../errors/nearest-name.ts";
import { readyKeyBackends } from "../keys/signatures.ts";
import { type Constitution, DEFAULT_CONSTITUTION } from "./constitution.ts";
import {
  decodeGenesis,
  encodeGenesis,
  type GenesisDocument,
  genesisValidatorSet,
  ledgerIdOf,
} from "./genesis-document.ts";
import {
  decodeGenesisFile,
  encodeGenesisFile,
  genesisFromJson,
  genesisToJson,
} from "./genesis-json.ts";
import { hashLedgerParams } from "./parameters.ts";

await readyKeyBackends();
const genesis = createSampleGenesis();

type Writable = { -readonly [K in keyof GenesisDocument]: GenesisDocument[K] };
type Json = Record<string, unknown>;

test("a genesis document comes back from CBOR and from JSON", () => {
  assert.deepEqual(decodeGenesis(encodeGenesis(genesis)), genesis);
  assert.deepEqual(decodeGenesisFile(encodeGenesisFile(genesis)), genesis);
  assert.deepEqual(genesisFromJson(genesisToJson(genesis)), genesis);
  const again = decodeGenesisFile(encodeGenesisFile(genesis));
  assert.equal(toHex(ledgerIdOf(again)), toHex(ledgerIdOf(genesis)));
});

test("a constitution of its own is part of the document, and its bounds are checked", () => {
  const own = { ...DEFAULT_CONSTITUTION, approveAbove: [2, 3], evidence: "record" } as const;
  const governed: GenesisDocument = {
    ...genesis,
    policy: "dpoa",
    policyParams: { slotMs: 2_000 },
    governance: own,
  };
  assert.deepEqual(decodeGenesis(encodeGenesis(governed)), governed);
  assert.deepEqual(genesisFromJson(genesisToJson(governed)), governed);
  const wrong: readonly (readonly [Partial<Constitution>, RegExp])[] = [
    [{ approveAbove: [1, 3] }, /governance\.approveAbove: .*at least a half/],
    [{ switchAbove: [3, 3] }, /governance\.switchAbove/],
    [{ emergencyAbove: [2.5, 3] }, /governance\.emergencyAbove/],
    [{ proposalBlocks: 0 }, /governance\.proposalBlocks: expected 1 to/],
    [{ readinessBlocks: 1.5 }, /governance\.readinessBlocks/],
    [{ evidence: "forgive" as "record" }, /governance\.evidence: expected record, suspend/],
  ];
  for (const [change, message] of wrong) {
    const broken = { ...genesis, governance: { ...own, ...change } };
    assert.throws(() => encodeGenesis(broken), { code: "CONSTITUTION_INVALID", message });
  }
  const json = genesisToJson(governed);
  const long = { ...json, governance: { ...own, approveAbove: [1, 2, 3] } };
  assert.throws(() => genesisFromJson(long), {
    message: /governance\.approveAbove: expected \[num/,
  });
});

test("paramsHash names a changed way of ordering", () => {
  const change = {
    at: 9,
    engineEpoch: 1,
    engine: "builtin",
    policy: "dpoa",
    quorum: "crash",
  } as const;
  const hashes = [
    hashLedgerParams(genesis.params),
    hashLedgerParams(genesis.params, change),
    hashLedgerParams(genesis.params, { ...change, at: 10 }),
    hashLedgerParams(genesis.params, { ...change, policy: "fixed" }),
    hashLedgerParams(genesis.params, { ...change, quorum: "byzantine" }),
  ];
  assert.equal(new Set(hashes.map(toHex)).size, hashes.length);
});

test("every value of a genesis document changes the ledger's id", () => {
  const seen = new Set([toHex(ledgerIdOf(genesis))]);
  const changes: readonly Partial<Writable>[] = [
    { network: "other" },
    { ledger: "side" },
    { time: genesis.time + 1 },
    { organizations: [...genesis.organizations].reverse() },
    { nodes: [...genesis.nodes].reverse() },
    { accounts: [] },
    { accounts: [{ ...genesis.accounts[0]!, roles: [] }] },
    { validators: { ...genesis.validators, quorum: "crash" } },
    { validators: { quorum: "byzantine", members: genesis.validators.members.slice(1) } },
    { engines: ["native"] },
    { ordering: "cometbft" },
    { policy: "posr" },
    { policyParams: {} },
    { policyParams: { missedTurns: 1 } },
    { governance: DEFAULT_CONSTITUTION },
    { params: { ...genesis.params, blockTransactionsMax: 7 } },
  ];
  for (const change of changes) seen.add(toHex(ledgerIdOf({ ...genesis, ...change })));
  assert.equal(seen.size, changes.length + 1);
});

test("the first set holds the validators with their nodes' keys", () => {
  const set = genesisValidatorSet(genesis);
  assert.equal(set.members.length, 4);
  for (const member of set.members) {
    assert.deepEqual(member.key, genesis.nodes.find((node) => node.id === member.id)?.key);
  }
});

test("a document that breaks a rule is refused with the field's name", () => {
  const [node, second] = genesis.nodes;
  const [account] = genesis.accounts;
  const members = genesis.validators.members;
  const set = (list: typeof members): Partial<Writable> => ({
    validators: { quorum: "byzantine", members: list },
  });
  const refused: readonly [Partial<Writable>, RegExp][] = [
    [{ version: 2 as 1 }, /genesis\.version/],
    [{ network: "Upper" }, /genesis\.network/],
    [{ ledger: "" }, /genesis\.ledger/],
    [{ time: -1 }, /genesis\.time/],
    [{ organizations: [] }, /genesis\.organizations/],
    [
      { organizations: [...genesis.organizations, genesis.organizations[0]!] },
      /organizations\[5\]\.id: harbour is already used at genesis\.organizations\[0\]\.id/,
    ],
    [{ organizations: [{ id: "a", name: " a" }] }, /organizations\[0\]\.name/],
    [{ organizations: [{ id: "a", name: "a\nb" }] }, /organizations\[0\]\.name/],
    [{ nodes: [{ ...node!, org: "nobody" }] }, /nodes\[0\]\.org: there is no organization/],
    [{ nodes: [{ ...node!, id: "notary/x" }] }, /nodes\[0\]\.id: expected harbour\//],
    [{ nodes: [{ ...node!, id: "harbour/X" }] }, /nodes\[0\]\.id/],
    [{ nodes: [node!, { ...second!, key: node!.key }] }, /nodes\[1\]\.key: this key is already/],
    [
      { nodes: [node!, { ...second!, tlsFingerprint: node!.tlsFingerprint }] },
      /nodes\[1\]\.tlsFingerprint/,
    ],
    [{ nodes: [{ ...node!, tlsFingerprint: new Uint8Array(20) }] }, /tlsFingerprint/],
    [{ nodes: [{ ...node!, key: namedKeyPair("x", "p256").publicKey }] }, /nodes\[0\]\.key/],
    [{ accounts: [account!, { ...account!, name: "b" }] }, /accounts\[1\]\.key/],
    [{ accounts: [{ ...account!, org: "nobody" }] }, /accounts\[0\]\.org/],
    [{ accounts: [{ ...account!, roles: ["a", "a"] }] }, /accounts\[0\]\.roles\[1\]/],
    [{ accounts: [{ ...account!, roles: ["A"] }] }, /accounts\[0\]\.roles\[0\]/],
    [set([]), /validators\.members/],
    [set([{ ...members[0]!, id: "harbour/other" }]), /members\[0\]\.id: there is no node/],
    [set([members[0]!, members[0]!]), /members\[1\]\.id/],
    [set([{ ...members[0]!, vote: 0 }]), /members\[0\]\.vote/],
    [set([{ ...members[0]!, propose: 0 }]), /propose weight above 0/],
    [{ ordering: "raft" as "builtin" }, /genesis\.ordering/],
    [
      { ordering: "cometbft", validators: { ...genesis.validators, quorum: "crash" } },
      /validators\.quorum: expected byzantine/,
    ],
    [{ policy: "lottery" as "fixed" }, /genesis\.policy/],
    [{ policyParams: { slotMs: -1 } }, /genesis\.policyParams\.slotMs/],
    [{ engines: [] }, /genesis\.engines/],
    [{ engines: ["needle", "needle"] }, /engines\[1\]/],
    [{ params: { ...genesis.params, blockBytesMax: 0 } }, /params\.blockBytesMax/],
    [{ params: { ...genesis.params, blockBytesMax: 5 } }, /params\.transactionBytesMax/],
    [{ params: { ...genesis.params, fuelPerBlockMax: 5 } }, /params\.fuelPerTransactionMax/],
  ];
  for (const [change, reason] of refused) {
    assert.throws(
      () => encodeGenesis({ ...genesis, ...change }),
      (thrown: Error & { code: string }) =>
        thrown.code === "GENESIS_INVALID" && reason.test(thrown.message),
      String(reason),
    );
  }
});

test("unknown, missing and ill-typed JSON fields are named, with the nearest known one", () => {
  const json = genesisToJson(genesis) as Json;
  const at = (change: (copy: Json) => void) => {
    const copy = structuredClone(json);
    change(copy);
    return () => genesisFromJson(copy);
  };
  const set = (target: unknown, name: string, value: unknown) => {
    (target as Record<string, unknown>)[name] = value;
  };
  assert.throws(
    at((copy) => set(copy, "organisations", [])),
    /genesis\.organisations: no such field; did you mean organizations\?/,
  );
  assert.throws(
    at((copy) => set(copy.params, "blockBytesMx", 1)),
    /genesis\.params\.blockBytesMx: .* blockBytesMax\?/,
  );
  assert.throws(
    at((copy) => set((copy.nodes as unknown[])[0], "tlsFingerprnt", "")),
    /nodes\[0\]\.tlsFingerprnt: .* tlsFingerprint\?/,
  );
  assert.throws(
    at((copy) => delete copy.engines),
    /genesis\.engines: expected a value/,
  );
  assert.throws(
    at((copy) => set(copy, "time", "now")),
    /genesis\.time/,
  );
  assert.throws(
    at((copy) => set(copy, "nodes", {})),
    /genesis\.nodes: expected a list/,
  );
  assert.throws(
    at((copy) => set(copy, "network", 5)),
    /genesis\.network: expected a text/,
  );
  assert.throws(
    at((copy) => set((copy.nodes as unknown[])[1], "key", "ed25519:00")),
    /nodes\[1\]\.key: expected 64 lower-case hex/,
  );
  assert.throws(() => decodeGenesisFile("{"), /not JSON/);
  assert.throws(() => genesisFromJson(null), /genesis: expected an object/);
});

test("unknown fields of the CBOR form are refused", () => {
  const map = decodeCbor(encodeGenesis(genesis)) as Map<string, CborValue>;
  map.set("extra", 1);
  assert.throws(() => decodeGenesis(encodeCbor(map)), { code: "GENESIS_UNKNOWN_FIELD" });
  map.delete("extra");
  map.delete("policy");
  assert.throws(() => decodeGenesis(encodeCbor(map)), /genesis\.policy/);
});

test("nearest names", () => {
  const known = ["listen", "database", "ledger"];
  assert.equal(nearestName("lisen", known), "listen");
  assert.equal(nearestName("Database", known), "database");
  assert.equal(nearestName("legder", known), "ledger");
  assert.equal(nearestName("completely-else", known), undefined);
});
