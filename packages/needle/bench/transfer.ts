/**
 * What the language costs: a call like a transfer (six look-ups, comparisons, two writes, fuel on),
 * against a host that keeps rows in maps, and reading a program of 200 lines.
 *   node packages/needle/bench/transfer.ts [seconds per case]
 */

import { compileNeedle } from "../src/compiler/compile.ts";
import { runContract } from "../src/contracts/run-contract.ts";
import { parseNeedle } from "../src/parser/parse.ts";
import { ConditionCache } from "../src/runtime/condition-cache.ts";
import { Installed, SYSTEM } from "../src/testing/run-source.ts";
import { NeedleArray, NeedleMap, type NeedleValue } from "../src/values/value.ts";

/** Balances in a `$` variable, as a routine that works on maps does it. */
const ROUTINE = `
func transfer(balances map, owners map, from string, to string, amount int) int {
    var have int
    if !owners[from] { return 0 }
    if !owners[to] { return 0 }
    have = balances[from]
    if have < amount { return 0 }
    balances[from] = have - amount
    have = balances[to]
    balances[to] = have + amount
    return balances[from]
}
contract Routine {
    data { Balances map
           Owners map
           From string
           To string
           Amount int }
    action { $result = transfer($Balances, $Owners, $From, $To, $Amount) }
}`;

const TRANSFER = `
contract Transfer {
    data {
        From int
        To int
        Amount int
    }
    conditions {
        if $Amount <= 0 { error "Amount: expected more than 0" }
        if $From == $To { error "To: expected another account" }
        $from = DBFind("accounts").Columns("id,amount").WhereId($From).Row()
        $to = DBFind("accounts").Columns("id,amount").WhereId($To).Row()
        if !$from { error Sprintf("From: no account %d", $From) }
        if !$to { error Sprintf("To: no account %d", $To) }
        if Int($from["amount"]) < $Amount { error "Amount: more than there is" }
    }
    action {
        DBUpdate("accounts", $From, {"-amount": $Amount})
        DBUpdate("accounts", $To, {"+amount": $Amount})
        $result = Int($from["amount"]) - $Amount
    }
}`;

function measure(name: string, seconds: number, work: (index: number) => void): void {
  for (let i = 0; i < 2_000; i++) work(i);
  const start = process.cpuUsage();
  const until = performance.now() + seconds * 1_000;
  let count = 0;
  while (performance.now() < until) {
    for (let i = 0; i < 500; i++) work(count + i);
    count += 500;
  }
  const used = process.cpuUsage(start);
  const micros = (used.user + used.system) / count;
  console.log(`${name}: ${micros.toFixed(2)} us CPU`);
}

const seconds = Number(process.argv[2] ?? 2);
const rows = new Map<bigint, bigint>();
for (let i = 1n; i <= 1_000n; i++) rows.set(i, 1_000_000_000n);
const installed = new Installed({
  DBFind: (_call, _table, { whereId }) => {
    const amount = rows.get(whereId ?? 0n);
    if (amount === undefined) return NeedleArray.of([]);
    const row = NeedleMap.of([
      ["id", String(whereId)],
      ["amount", amount.toString()],
    ]);
    return NeedleArray.of([row]);
  },
  DBUpdate: (_call, _table, id, values) => {
    for (const [key, value] of values.entries) {
      const delta = value as bigint;
      rows.set(id, rows.get(id)! + (key.startsWith("-") ? -delta : delta));
    }
  },
});
const errors = [...installed.install(ROUTINE), ...installed.install(TRANSFER)];
if (errors.length > 0) throw new Error(errors.join("\n"));
const options = { host: installed, system: SYSTEM, conditions: new ConditionCache() };

const balances = new NeedleMap();
const owners = new NeedleMap();
for (let i = 0; i < 100; i++) {
  balances.set(`k${i}`, 1_000_000_000_000n);
  owners.set(`k${i}`, true);
}
const routine = installed.contracts.get("@1Routine")!;
measure("transfer routine over maps (6 look-ups, 2 writes), whole contract call", seconds, (i) => {
  const values = new Map<string, NeedleValue>([
    ["Balances", balances],
    ["Owners", owners],
    ["From", `k${i % 100}`],
    ["To", `k${(i + 1) % 100}`],
    ["Amount", 1n],
  ]);
  const { error } = runContract(routine, values, options);
  if (error !== undefined) throw new Error(error.message);
});

const transfer = installed.contracts.get("@1Transfer")!;
measure("transfer contract over rows (2 searches, 2 updates), host in memory", seconds, (i) => {
  const values = new Map<string, NeedleValue>([
    ["From", BigInt((i % 1_000) + 1)],
    ["To", BigInt(((i + 7) % 1_000) + 1)],
    ["Amount", 1n],
  ]);
  const { error } = runContract(transfer, values, options);
  if (error !== undefined) throw new Error(error.message);
});

const source = Array.from({ length: 8 }, (_, i) => TRANSFER.replace("Transfer", `T${i}`)).join(
  "\n",
);
const lines = source.split("\n").length;
measure(`parse of ${lines} lines`, seconds, () => void parseNeedle(source));
measure(`parse, check and compile of ${lines} lines`, seconds, () => {
  const { unit } = compileNeedle(source, { ecosystem: 1n });
  if (unit === undefined) throw new Error("does not compile");
});
