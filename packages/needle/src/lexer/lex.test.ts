/** Section "Lexical rules" of spec/needle.md, row by row. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DiagnosticList, diagnosticToText } from "../diagnostics/diagnostic.ts";
import { lexNeedle } from "./lex.ts";

function lex(source: string) {
  const diagnostics = new DiagnosticList();
  const { tokens, comments } = lexNeedle(source, diagnostics);
  return {
    shown: tokens.slice(0, -1).map(({ kind, text }) => `${kind}:${text}`),
    errors: diagnostics.items.map(diagnosticToText),
    tokens,
    comments,
  };
}

const TOKENS: readonly (readonly [string, readonly string[]])[] = [
  [" \t\r a", ["name:a"]],
  ["a;b\nc", ["name:a", "newline:\n", "name:b", "newline:\n", "name:c"]],
  ["a // b\nc", ["name:a", "newline:\n", "name:c"]],
  ["a /* b\n c */ d", ["name:a", "name:d"]],
  ["/** x **/ y", ["name:y"]],
  ["_x x1 héé 名前", ["name:_x", "name:x1", "name:héé", "name:名前"]],
  ["@1Name @Name $n $1n", ["name:@1Name", "name:@Name", "extern:n", "extern:1n"]],
  ["1 .5 2.5 1.", ["int:1", "float:.5", "float:2.5", "float:1."]],
  ["a.b", ["name:a", "punctuation:.", "name:b"]],
  ['"a\\"b\\t\\r\\nc"', ['string:a"b\t\r\nc']],
  ['"\\x"', ["string:\\x"]],
  ['"\\\\"', ["string:\\\\"]],
  ['"a\\\\n"', ["string:a\\\n"]],
  ['"two\nlines"', ["string:two\nlines"]],
  ['`raw\\n\n"`', ['string:raw\\n\n"']],
  ["a...", ["name:a", "keyword:..."]],
  ["a[1...", ["name:a", "punctuation:[", "int:1", "keyword:..."]],
  [
    "<= >= == != && || < > ! + - * /",
    "<= >= == != && || < > ! + - * /".split(" ").map((o) => `operator:${o}`),
  ],
  ["( ) [ ] { } , : . = #", "( ) [ ] { } , : . = #".split(" ").map((o) => `punctuation:${o}`)],
  [
    "bool bytes int address array map money float string file",
    "bool bytes int address array map money float string file".split(" ").map((o) => `type:${o}`),
  ],
  [
    "contract func if elif nil true action",
    "contract func if elif nil true action".split(" ").map((o) => `keyword:${o}`),
  ],
  ["9223372036854775807", ["int:9223372036854775807"]],
];

test("texts become tokens", () => {
  for (const [source, expected] of TOKENS) {
    const { shown, errors } = lex(source);
    assert.deepEqual(shown, expected, source);
    assert.deepEqual(errors, [], source);
  }
});

const ERRORS: readonly (readonly [string, string])[] = [
  ["a % b", "unknown lexeme '%' [Ln:1 Col:3]"],
  ["\n & ", "unknown lexeme '&' [Ln:2 Col:2]"],
  ["'", "unknown lexeme ''' [Ln:1 Col:1]"],
  ["$ x", "unknown lexeme '$' [Ln:1 Col:1]"],
  ["12x", "unknown lexeme 'x' [Ln:1 Col:3]"],
  ["1.2.3", "'1.2.3' is not a number: more than one point [Ln:1 Col:1]"],
  ["9223372036854775808", "integer 9223372036854775808 is out of the 64-bit range [Ln:1 Col:1]"],
  ['"abc', "string is not closed: '\"' is missing [Ln:1 Col:1]"],
  ["`abc", "string is not closed: '`' is missing [Ln:1 Col:1]"],
  ["a /* b", "comment is not closed: '*/' is missing [Ln:1 Col:3]"],
];

test("what fits nowhere is named with its place", () => {
  for (const [source, expected] of ERRORS) {
    assert.equal(lex(source).errors[0], expected, source);
  }
});

test("positions count lines and columns from 1 over strings and comments", () => {
  const { tokens } = lex('`a\nb` x /*\n*/ y\n"p\nq" z');
  const places = tokens.map(({ text, start }) => `${text}@${start.line}:${start.column}`);
  assert.deepEqual(places.slice(0, 3), ["a\nb@1:1", "x@2:4", "y@3:4"]);
  assert.equal(places.at(-2), "z@5:4");
});

test("comments are kept apart with their marks", () => {
  const { comments } = lex("a // one\n/* two */ b");
  assert.deepEqual(
    comments.map(({ text, start }) => `${text}@${start.line}:${start.column}`),
    ["// one@1:3", "/* two */@2:1"],
  );
});
