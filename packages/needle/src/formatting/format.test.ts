import assert from "node:assert/strict";
import { test } from "node:test";
import { formatNeedle } from "./format.ts";

test("indentation, spaces, empty lines", () => {
  const source = `
contract   A{
data{
A,B   int   "optional"
Name string;
   }


conditions{if !$A&&-1<$B{error   "no" } elif ( $A ){return -$B }
}
action { // works
var x,y int ; x=1
m={a:1,"b":[ x ,-1]}
f( x , rest... ).T( {k : x} ).g()   /* done */
$m["k"]=x*(2+y)
v={p:1,
q:[
1]}
}
}
func f(a int,rest ...).T(b map)int{ return {a:1} }`;
  const expected = `contract A {
    data {
        A, B int "optional"
        Name string
    }

    conditions { if !$A && -1 < $B { error "no" } elif ($A) { return -$B }
    }
    action { // works
        var x, y int; x = 1
        m = {a: 1, "b": [x, -1]}
        f(x, rest...).T({k: x}).g() /* done */
        $m["k"] = x * (2 + y)
        v = {p: 1,
            q: [
                1]}
    }
}
func f(a int, rest ...).T(b map) int { return {a: 1} }
`;
  const { text } = formatNeedle(source);
  assert.equal(text, expected);
});

test("a text that cannot be read is not touched", () => {
  const { text, diagnostics } = formatNeedle('contract A { x = "');
  assert.equal(text, undefined);
  assert.equal(diagnostics[0]?.code, "NEEDLE_UNCLOSED");
});
