import assert from "node:assert/strict";
import { test } from "node:test";
import { clip, createLiveView } from "./live-view.ts";

test("a line is cut by what is seen, and its colour is always closed", () => {
  assert.equal(clip("abcdef", 3), "abc");
  assert.equal(clip("\u001b[31mabcdef\u001b[39m", 3), "\u001b[31mabc\u001b[39m");
  assert.equal(clip("ä😀z", 2), "ä😀");
  assert.equal(clip("short", 80), "short");
});

test("each drawing goes back over exactly the lines of the one before", () => {
  let out = "";
  const view = createLiveView({ write: (text) => (out += text), columns: 40 });
  view.draw("one\ntwo");
  assert.ok(out.startsWith("\u001b[?25l"));
  out = "";
  view.draw("three");
  assert.ok(out.startsWith("\u001b[2A"));
  out = "";
  view.draw("four");
  assert.ok(out.startsWith("\u001b[1A"));
  view.end();
  assert.ok(out.endsWith("\u001b[?25h"));
});
