import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, type Style } from "../src/ansi.ts";
import { comparable, Lives, Pending, plain, Seam } from "../src/loglines.ts";

const spans = (line: string, style: Style = {}) => parse(line, style).map((s) => [s.text, s.classes]);

test("colours become classes, and everything else a terminal would act on is dropped", () => {
  assert.deepEqual(spans("a\x1b[31mb\x1b[1mc\x1b[0md"), [["a", ""], ["b", "fg-1"], ["c", "fg-1 bold"], ["d", ""]]);
  assert.deepEqual(spans("\x1b[2K\x1b[1A\x1b]8;;http://x\x07link\x1b]8;;\x1b\\\x07!"), [["link!", ""]]);
  assert.deepEqual(spans("<b>&amp;</b>"), [["<b>&amp;</b>", ""]]);
});

test("256 colours and true colours become the nearest of sixteen", () => {
  assert.deepEqual(spans("\x1b[38;5;196mx"), [["x", "fg-9"]]);
  assert.deepEqual(spans("\x1b[38;2;0;0;160mx"), [["x", "fg-4"]]);
  assert.deepEqual(spans("\x1b[48;5;250mx"), [["x", "bg-7"]]);
});

test("a colour goes on over lines until it is ended", () => {
  const style: Style = {};
  parse("\x1b[33mwarn", style);
  assert.deepEqual(spans("more", style), [["more", "fg-3"]]);
  assert.deepEqual(spans("\x1b[mover", style), [["over", ""]]);
});

test("of a line that is written over, the last state counts", () => {
  assert.deepEqual(spans("10%\r50%\r100%\r"), [["100%", ""]]);
});

test("of too many pending lines the newest are kept, and the memory is bounded", () => {
  const p = new Pending(10);
  for (let i = 0; i < 1000; i++) p.push({ text: String(i) });
  assert.equal(p.added, 1000);
  const lines = p.take();
  assert.equal(lines.length, 10);
  assert.deepEqual(lines[9], { text: "999" });
  assert.equal(p.added, 0);
  assert.deepEqual(p.take(), []);
});

test("a stream that is opened again repeats nothing", () => {
  const s = new Seam();
  const line = (at: string, text: string) => ({ time: `2026-11-25T10:00:${at}Z`, text });
  const all = [line("01.5", "a"), line("02", "b"), line("02", "b"), line("02", "c")];
  s.begin();
  assert.deepEqual(all.map((l) => s.fresh(l)), [true, true, true, true]);
  for (let i = 0; i < 2; i++) {
    s.begin(); // twice: the first time must not wear the memory out
    assert.deepEqual(all.map((l) => s.fresh(l)), [false, false, false, false]);
  }
  assert.equal(s.fresh(line("02", "c")), true); // said once more than before
  assert.equal(s.fresh(line("03", "d")), true);
  s.begin();
  assert.equal(s.fresh(line("09", "z")), "gap");
  assert.equal(s.fresh(line("10", "y")), true);
});

test("times sort by their nanoseconds", () => {
  const times = ["2026-11-25T10:00:00Z", "2026-11-25T10:00:00.000000001Z", "2026-11-25T10:00:00.1Z", "2026-11-25T11:00:00.12+00:00"];
  const keys = times.map(comparable);
  assert.deepEqual([...keys].sort(), keys);
  assert.equal(comparable("0001-01-01T00:00:00Z"), "");
});

test("a log as a text has times and no colours", () => {
  const time = "2026-11-25T10:00:00.5Z";
  assert.equal(plain([{ time, text: "\x1b[31mred\x1b[0m" }, { divider: "restarted" }, { text: "10%\r20%" }]), `${time} red\n--- restarted ---\n20%\n`);
});

test("where the present life begins, in a log that has one before it", () => {
  const at = (s: number) => ({ time: `2026-11-25T10:00:0${s}.1Z`, text: "" });
  const found = (started: string | undefined, ...times: number[]) => {
    const lives = new Lives(started);
    return times.map((s) => lives.begins(at(s)));
  };
  assert.deepEqual(found("2026-11-25T10:00:03Z", 1, 2, 3, 4), [false, false, true, false]);
  assert.deepEqual(found("2026-11-25T10:00:03Z", 3, 4), [false, false]);
  assert.deepEqual(found(undefined, 1, 2), [false, false]);
});
