import assert from "node:assert/strict";
import { test } from "node:test";
import { Answer } from "../src/chat.ts";
import { Parser } from "../src/sse.ts";

test("events are found however the text is cut", () => {
  const text = ": alive\n\nevent: cluster\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nid: 7\ndata:x\n\nevent: empty\n\ndata: half";
  const want = [
    { event: "cluster", data: '{"a":\n1}', id: "" },
    { event: "message", data: "x", id: "7" },
  ];
  for (let size = 1; size <= text.length; size++) {
    const p = new Parser();
    const found = [];
    for (let i = 0; i < text.length; i += size) found.push(...p.push(text.slice(i, i + size)));
    assert.deepEqual(found, want, `in pieces of ${size}`);
  }
});

const delta = (content: string) => JSON.stringify({ choices: [{ index: 0, delta: { content } }] });

test("how fast an answer is", () => {
  const a = new Answer(1000);
  a.take(JSON.stringify({ choices: [{ delta: { role: "assistant", content: "" } }] }), 1100);
  assert.equal(a.stats().firstMs, undefined);
  a.take(delta("one "), 1500);
  assert.equal(a.stats().perSecond, undefined); // one token has no rate
  a.take(delta("two "), 1750);
  a.take(delta("three"), 2000);
  assert.deepEqual(a.stats(), { tokens: 3, counted: false, firstMs: 500, perSecond: 4 });
  a.take(JSON.stringify({ choices: [], usage: { completion_tokens: 6 } }), 2001);
  assert.deepEqual(a.stats(), { tokens: 6, counted: true, firstMs: 500, perSecond: 10 });
  assert.equal(a.content, "one two three");
});

test("a cut answer is not whole, and an error in the stream is one", () => {
  const a = new Answer(0);
  a.take(delta("x"), 1);
  assert.equal(a.whole, false);
  assert.throws(() => a.take('{"error":{"message":"the worker died"}}', 2), /the worker died/);
  a.take("[DONE]", 3);
  assert.equal(a.whole, true);
});

test("what is no answer does no harm", () => {
  const a = new Answer(0);
  for (const data of ["", "nonsense", "null", "[]", '{"choices":null}', '{"choices":[null]}', '{"choices":[{"delta":null}]}', '{"usage":null,"error":null}']) a.take(data, 1);
  assert.equal(a.content, "");
});
