import assert from "node:assert/strict";
import { test } from "node:test";
import { join, split, Unfinished } from "../src/words.ts";

test("a line is words, which quotes keep together", () => {
  for (const [line, words] of [
    ["", []],
    ["  ", []],
    [" -c 4096\t--jinja ", ["-c", "4096", "--jinja"]],
    ["--alias 'my model'", ["--alias", "my model"]],
    ['--alias "my model"', ["--alias", "my model"]],
    ["--alias=my\\ model", ["--alias=my model"]],
    ["--alias='my model's", ["--alias=my models"]],
    [`'it'\\''s' "say \\"hi\\""`, ["it's", 'say "hi"']],
    [`'a\\b' "a\\b" "a\\\\b" a\\\\b`, ["a\\b", "a\\b", "a\\b", "a\\b"]],
    [`'a\\n' "a\\n"`, ["a\\n", "a\n"]],
    [`'' x ""`, ["", "x", ""]],
    [`{"a":1}`, ["{a:1}"]],
    [`'{"a": 1}'`, ['{"a": 1}']],
    ["$HOME *.gguf ~ a#b", ["$HOME", "*.gguf", "~", "a#b"]],
  ] as const) {
    assert.deepEqual(split(line), words, line);
  }
});

test("what is not finished is said", () => {
  for (const [line, said] of [
    ["--alias 'my model", "A single quote is not closed: 'my model"],
    ['--alias "my model\\"', 'A double quote is not closed: "my model\\"'],
    ["x\\", "The backslash at the end has nothing after it: write two for one."],
  ] as const) {
    assert.throws(() => split(line), (err) => err instanceof Unfinished && err.message === said, line);
  }
});

test("words are written so that they are read as the same", () => {
  assert.equal(join(["-c", "4096", "my model", "it's"]), `-c 4096 'my model' "it's"`);
  const pieces = ["", "a", " ", "'", '"', "\\", "\n", "\r", "n", "$", "é"];
  for (const a of pieces) {
    for (const b of pieces) {
      for (const c of pieces) {
        const words = [a + b + c, c + a, b];
        assert.deepEqual(split(join(words)), words);
        assert.ok(!/[\n\r]/.test(join(words)));
      }
    }
  }
});
