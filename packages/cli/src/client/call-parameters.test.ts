/** Goal: what is typed reaches the contract in its field's type, or is refused by the field's name. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { type CborValue, HanseError } from "@hanse/protocol";
import { type ContractField, parseCallParameters } from "./call-parameters.ts";

const fields: ContractField[] = [
  { name: "Id", type: "int", optional: false },
  { name: "Title", type: "string", optional: true },
  { name: "Amount", type: "money", optional: true },
  { name: "Done", type: "bool", optional: true },
  { name: "Parts", type: "array", optional: true },
  { name: "Blob", type: "bytes", optional: true },
];

function parse(...params: string[]): Map<string, CborValue> {
  return parseCallParameters({ params, files: [] }, "Try", fields);
}

test("each type has its form", () => {
  assert.deepEqual(
    parse("Id=7", "Title=a=b", "Amount=12", "Done=true", 'Parts=["x",1]', "Blob=00ff"),
    new Map<string, CborValue>([
      ["Id", 7],
      ["Title", "a=b"],
      ["Amount", "12"],
      ["Done", true],
      ["Parts", ["x", 1]],
      ["Blob", Uint8Array.of(0, 255)],
    ]),
  );
  assert.equal(parse("Id=9223372036854775807").get("Id"), 9223372036854775807n);
  assert.deepEqual(parse("Id:=7", 'Title:="x"').get("Title"), "x");
});

test("every refusal names the field and the way out", () => {
  const cases: [string[], RegExp][] = [
    [["id=7"], /^id: Try has no such field; did you mean Id\?/],
    [["Id=7", "Id=8"], /^Id: is given twice/],
    [["Id=seven"], /^Id: "seven" is not a whole number/],
    [["Id=9223372036854775808"], /^Id: .*64 bits/],
    [["Title=x"], /^Id: missing; Try needs --param Id=<int>/],
    [["Id=1", "Done=yes"], /^Done: .*true or false/],
    [["Id=1", "Amount=1.5"], /^Amount: /],
    [["Id=1", "Parts=[1.5]"], /^Parts: 1.5: numbers must be whole/],
    [["Id=1", "Blob=0"], /^Blob: /],
    [["Id"], /^--param: "Id" must read Field=value/],
    [["1d=7"], /^--param: "1d" is not the name of a field/],
  ];
  for (const [params, message] of cases) {
    assert.throws(
      () => parse(...params),
      (error) => {
        assert.ok(error instanceof HanseError);
        assert.equal(error.code, "CLI_USAGE_PARAM");
        assert.match(error.message, message);
        return true;
      },
    );
  }
});

test("a file is named by its hash alone", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "hanse-param-"));
  try {
    const file = path.join(folder, "deed.pdf");
    writeFileSync(file, "a deed");
    const values = parseCallParameters(
      { params: ["Id=1"], files: [`Title=${file}`] },
      "Try",
      fields,
    );
    assert.equal(values.get("Title"), createHash("sha256").update("a deed").digest("hex"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
