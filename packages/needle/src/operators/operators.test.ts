/** Conversions, truth, and every cell of the operator tables of spec/needle.md. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluated } from "../testing/run-source.ts";

const E = "! unsupported combination of types in the operator";

function check(rows: readonly (readonly [string, string])[], before = ""): void {
  for (const [expression, expected] of rows) {
    assert.equal(evaluated(expression, before), expected, expression);
  }
}

test("conversions to int", () => {
  check([
    ["Int(5)", "5"],
    ["Int(2.9)", "2"],
    ["Int(-2.9)", "-2"],
    ['Int("12")', "12"],
    ['Int("-12")', "-12"],
    ['Int("+7")', "7"],
    ['Int("")', "0"],
    ['Int("12x")', "! 12x is not a valid integer : invalid syntax"],
    ['Int(" 1")', "!  1 is not a valid integer : invalid syntax"],
    ['Int("1.5")', "! 1.5 is not a valid integer : invalid syntax"],
    ['Int("9223372036854775807")', "9223372036854775807"],
    [
      'Int("9223372036854775808")',
      "! 9223372036854775808 is not a valid integer : value out of range",
    ],
    ['Int("-9223372036854775808")', "-9223372036854775808"],
    ['Int("0000000000000000000000012")', "12"],
    ['Int(Money("-7"))', "-7"],
    ["Int(nil)", "0"],
    ["Int(true)", "! bool cannot be converted to an integer"],
    ["Int([1])", "! []interface {} cannot be converted to an integer"],
  ]);
});

test("conversions to float, money and text", () => {
  check(
    [
      ["Float(5)", "5"],
      ['Float("1.5")', "1.5"],
      ['Float("1e3")', "1000"],
      ['Float("abc")', "0"],
      ['Float("")', "0"],
      ['Float("0x10")', "0"],
      ["Float(nil)", "0"],
      ['Float(Money("3"))', "3"],
      ["Money(5)", "5"],
      ["Money(2.9)", "2"],
      ["Money(-2.5)", "-3"],
      ['Money("2.9")', "2"],
      ['Money("-2.5")', "-3"],
      ['Money("1e3")', "1000"],
      ['Money("123456789012345678901234567890")', "123456789012345678901234567890"],
      ['Money("abc")', "! can't convert abc to decimal"],
      ['Money("")', "! can't convert  to decimal"],
      ["Money(nil)", "! can't convert  to decimal"],
      ['Money("1e99999")', "! can't convert 1e99999 to decimal"],
      ["Str(nil)", ""],
      ["Str(true)", "true"],
      ['Str([1, "a", x])', "[1 a map[k:1]]"],
      ['Str(StringToBytes("ab"))', "[97 98]"],
      ["Str([nil])", "[<nil>]"],
    ],
    "var x map\nx = {k: 1}",
  );
});

test("floats as text", () => {
  check([
    ["999999.0", "999999"],
    ["1000000.0", "1e+06"],
    ["1234567.5", "1.2345675e+06"],
    ["0.0001", "0.0001"],
    ["0.00001", "1e-05"],
    ["10.0", "10"],
    ["0.1 + 0.2", "0.30000000000000004"],
    ["-0.5", "-0.5"],
    ["JSONEncode(1234567.5)", "1234567.5"],
    ["JSONEncode(0.0000001)", "1e-7"],
    ['JSONEncode(Float("1e21"))', "1e+21"],
    ['JSONEncode(Float("1e20"))', "100000000000000000000"],
    ["JSONEncode(0.000001)", "0.000001"],
  ]);
});

test("truth", () => {
  for (const value of ["false", "0", "0.0", '""', "[]", "m", "b", "Money(0)", "nil"]) {
    check([[`!${value}`, "true"]], "var m map\nvar b bytes");
  }
  for (const value of ["true", "1", "-1", "0.5", '"0"', '"false"', "[nil]", "m", "b", "Money(1)"]) {
    check([[`!${value}`, "false"]], 'var m map\nm["a"] = nil\nvar b bytes\nb = StringToBytes("a")');
  }
});

/** Values of the arithmetic table: 6 and 4 of each type. */
const SIX: Readonly<Record<string, string>> = {
  string: '"6"',
  int: "6",
  float: "6.0",
  money: 'Money("6")',
};
const FOUR: Readonly<Record<string, string>> = {
  string: '"4"',
  int: "4",
  float: "4.0",
  money: 'Money("4")',
};
/** Type of the result by left and right; `concat` for two texts, undefined for E. */
const ARITHMETIC: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
  string: { string: "concat", int: "int64", float: "float64", money: undefined },
  int: { string: "int64", int: "int64", float: "float64", money: undefined },
  float: { string: "float64", int: "float64", float: "float64", money: undefined },
  money: { string: undefined, int: undefined, float: undefined, money: "decimal.Decimal" },
};

test("arithmetic of every pair of types", () => {
  for (const [left, cells] of Object.entries(ARITHMETIC)) {
    for (const [right, type] of Object.entries(cells)) {
      for (const operator of ["+", "-", "*", "/"]) {
        const expression = `${SIX[left]} ${operator} ${FOUR[right]}`;
        if (type === undefined || (type === "concat" && operator !== "+")) {
          check([[expression, E]]);
        } else if (type === "concat") check([[expression, "64"]]);
        else {
          const exact = { "+": "10", "-": "2", "*": "24", "/": type === "float64" ? "1.5" : "1" };
          check([
            [expression, exact[operator as "+"]],
            [`GetType(${expression})`, type],
          ]);
        }
      }
    }
  }
  for (const other of ["nil", "true", "[1]"]) {
    for (const operator of ["+", "-", "*", "/"]) {
      check([
        [`1 ${operator} ${other}`, E],
        [`${other} ${operator} 1`, E],
      ]);
    }
  }
  check([['"a" + m["none"]', E]], "var m map");
});

test("division, wrap-around, signs", () => {
  check([
    ["7 / 2", "3"],
    ["-7 / 2", "-3"],
    ["Money(-7) / Money(2)", "-4"],
    ["Money(7) / Money(2)", "3"],
    ['Money("10") * Money("0.5")', "0"],
    ["1 / 0", "! divided by zero"],
    ["1.0 / 0.0", "! divided by zero"],
    ["Money(1) / Money(0)", "! divided by zero"],
    ["9223372036854775807 + 1", "-9223372036854775808"],
    ["-9223372036854775807 - 2", "9223372036854775807"],
    ["9223372036854775807 * 2", "-2"],
    ["(-9223372036854775807 - 1) / -1", "-9223372036854775808"],
    ["-(-9223372036854775807 - 1)", "-9223372036854775808"],
    ['-"1"', E],
    ["-Money(1)", E],
    ["-1.5", "-1.5"],
    ['"" + 5', "5"],
    ['5 + ""', "5"],
    ['"x" + 5', "! x is not a valid integer : invalid syntax"],
    ['"x" + 5.0', "5"],
  ]);
});

const EQUALITY: readonly (readonly [string, string])[] = [
  ["nil == nil", "true"],
  ['nil == ""', "false"],
  ["nil == 0", "false"],
  ["0 == nil", "false"],
  ['"5" == 5', "true"],
  ['"x" == 5', "! x is not a valid integer : invalid syntax"],
  ['"5.5" == 5.5', "true"],
  ['"x" == 0.0', "true"],
  ['"5.9" == Money(5)', "true"],
  ['"a" == "a"', "true"],
  ['"a" == true', E],
  ["5.0 == 5", "true"],
  ['5.0 == "5"', "true"],
  ["5.0 == Money(5)", "true"],
  ["5.0 == true", E],
  ["5 == 5", "true"],
  ["5 == 5.0", "true"],
  ['5 == "5"', E],
  ["3 == Money(3)", E],
  ["true == true", "true"],
  ["true == 1", E],
  ["Money(3) == 3", "true"],
  ["Money(3) == 3.7", "true"],
  ['Money(3) == "3"', "true"],
  ["Money(3) == Money(3)", "true"],
  ["Money(3) == true", E],
  ["[1] == [1]", E],
  ["m == m", E],
  ["5 != 6", "true"],
  ["nil != 1", "true"],
];

test("equality looks at the left type first", () => check(EQUALITY, "var m map"));

test("order", () => {
  check([
    ["1 < 2", "true"],
    ["2 <= 2", "true"],
    ["2 >= 3", "false"],
    ['"10" < "9"', "true"],
    ['"a" < "ä"', "true"],
    ['"\uffff" < "😀"', "true"],
    ['"10" > 9', "true"],
    ["1.5 > 1", "true"],
    ["1 < 1.5", "true"],
    ["Money(2) > 1", "true"],
    ['"3" > Money(2)', "true"],
    ["1 < Money(2)", E],
    ["nil < 1", E],
    ["true < false", E],
    ["[] < []", E],
  ]);
});

test("both sides of && and || are always evaluated", () => {
  check([
    ["true && 1", "true"],
    ["0 || nil", "false"],
    ["1 || 1 / 0", "! divided by zero"],
    ['0 && Int("x")', "! x is not a valid integer : invalid syntax"],
  ]);
});

test("types as text", () => {
  check(
    [
      ["GetType(true)", "bool"],
      ['GetType(StringToBytes("a"))', "[]uint8"],
      ["GetType(1)", "int64"],
      ["GetType(1.0)", "float64"],
      ["GetType(Money(1))", "decimal.Decimal"],
      ['GetType("")', "string"],
      ["GetType([])", "[]interface {}"],
      ["GetType(m)", "*types.Map"],
      ["GetType(nil)", "string"],
      ['GetType(JSONDecode("1"))', "json.Number"],
    ],
    "var m map",
  );
});
