import assert from "node:assert/strict";
import { test } from "node:test";
import { blocks, list, spans, type List, type Span } from "../src/markdown.ts";

const read = (content: string, growing = false) => blocks(content, growing).map((b) => [b.is, b.text]);
const flat = (s: Span): string => ("spans" in s ? `<${s.is}${s.is === "link" ? ` ${s.href}` : ""}>${s.spans.map(flat).join("")}</>` : s.is === "code" ? `<code>${s.text}</>` : s.text);
const marked = (text: string, growing = false) => spans(text, growing).map(flat).join("");

test("text, headings, lists, quotes, rules, tables and code", () => {
  assert.deepEqual(read("# Title #\nfirst\nsecond\n\nthird\n- a\n- b\n\n> said\n> so\n***\n| a | b |\n|---|:-:|\n| 1 | 2 |\nend"), [
    ["heading", "Title"], ["text", "first\nsecond"], ["text", "third"], ["list", "- a\n- b"], ["quote", "said\nso"], ["rule", ""],
    ["table", "| a | b |\n|---|:-:|\n| 1 | 2 |"], ["text", "end"],
  ]);
  assert.deepEqual(read("#tag\n2026 was\n| no table |\n-5"), [["text", "#tag\n2026 was\n| no table |\n-5"]]);
});

test("code is found between fences, also longer or indented ones, an open one to the end", () => {
  assert.deepEqual(blocks("see\n```go\nx := 1\n\n# no title\n```\ndone"), [{ is: "text", text: "see" }, { is: "code", lang: "go", text: "x := 1\n\n# no title" }, { is: "text", text: "done" }]);
  assert.deepEqual(read("````\n```\nnested\n```\n````\nafter"), [["code", "```\nnested\n```"], ["text", "after"]]);
  assert.deepEqual(read("1. so:\n   ```sh\n   ls\n     -l\n   ```\n2. then"), [["list", "1. so:"], ["code", "ls\n  -l"], ["list", "2. then"]]);
  assert.deepEqual(read("```\n\n\nhalf"), [["code", "\n\nhalf"]]);
  assert.deepEqual(read("```"), [["code", ""]]);
});

test("lists have lists below them, and go on over blank lines", () => {
  const tree = (l: List): unknown => [l.first ?? "-", ...l.items.map((x) => (x.lists.length ? [x.text, ...x.lists.map(tree)] : x.text))];
  const of = (content: string) => blocks(content).map((b) => (b.is === "list" ? list(b.text).map(tree) : b.text));
  assert.deepEqual(of("3. a\n   - x\n   - y\n\n     more\n4. b"), [[[3, ["a", ["-", "x", "y\nmore"]], "b"]]]);
  assert.deepEqual(of("- a\n\n- b\n\nend"), [[["-", "a", "b"]], "end"]);
  assert.deepEqual(of("- a\n1. b"), [[["-", "a"], [1, "b"]]]);
});

test("marks in a text", () => {
  assert.equal(marked("**bold** and *it* and ***both*** `a**b**` ~~no~~"), "<strong>bold</> and <em>it</> and <strong><em>both</></> <code>a**b**</> <del>no</>");
  assert.equal(marked("2 * 3 * 4, a ** b, snake_case_name, __init__ x_1_"), "2 * 3 * 4, a ** b, snake_case_name, <strong>init</> x_1_");
  assert.equal(marked("`` a`b `` \\*plain\\* **open"), "<code>a`b</> *plain* **open");
});

test("only links to the web are links, and they are no more than that", () => {
  assert.equal(marked("[a](https://x.org/y_(z)) ![i](http://x/i.png)"), "<link https://x.org/y_(z)>a</> <link http://x/i.png>i</>");
  assert.equal(marked("see https://x.org/a_b_c?d=1. (http://y)"), "see <link https://x.org/a_b_c?d=1>https://x.org/a_b_c?d=1</>. (<link http://y>http://y</>)");
  for (const bad of ["[a](javascript:alert(1))", "[a](data:text/html,x)", "[a]( //x)", "<a href=x>", "<img src=x onerror=y>"]) assert.equal(marked(bad), bad);
});

test("an answer that grows does not change what it has shown", () => {
  assert.equal(marked("so **bo", true), "so <strong>bo</>");
  assert.equal(marked("so `co", true), "so <code>co</>");
  assert.equal(marked("so **bo** or", true), "so <strong>bo</> or");
  assert.deepEqual(read("so **", true), [["text", "so "]]);
  assert.deepEqual(read("so:\n-", true), [["text", "so:"]]);
  assert.deepEqual(read("so:\n``", true), [["text", "so:"]]);
  assert.deepEqual(read("```\ncode\n``", true), [["code", "code\n"]]);
  assert.deepEqual(read("[word](https://x", true), [["text", "word"]]);
  assert.deepEqual(read("so:\n-"), [["text", "so:\n-"]]);
});

test("whatever is written is read in time", () => {
  for (const piece of ["*", "**", "`", "``a", "_a", "[", "[a](", "- ", "> ", "|", "\n", "https://", "**a *b ", "~~"]) {
    const text = piece.repeat(2000);
    for (const b of blocks(text)) if (b.is === "list") list(b.text); else spans(b.text, true);
  }
});
