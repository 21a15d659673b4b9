import "./browser.ts";
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Seam } from "../src/loglines.ts";
import { Slot, type Claim } from "../src/slot.ts";

// tabs hear each other, but for those that are told not to.
function tabs(...names: string[]) {
  const deaf = new Set<string>();
  const held: [string, Claim][] = [];
  const all = new Map<string, Slot>(names.map((n) => [n, new Slot(n, (c) => held.push([n, c]))]));
  const pass = () => {
    for (const [by, c] of held.splice(0)) for (const [n, s] of all) if (n !== by && !deaf.has(n)) s.hear(c);
  };
  return { all, deaf, pass, have: () => [...all].flatMap(([n, s]) => (s.ours.value ? [n] : [])) };
}

test("the tab that was looked at last has the slot", () => {
  const { all, pass, have } = tabs("a", "b", "c");
  for (const n of ["a", "c", "b"]) {
    all.get(n)?.take();
    pass();
    assert.deepEqual(have(), [n]);
  }
});

test("of several at once one has it", (t) => {
  mock.timers.enable({ apis: ["Date"] });
  t.after(() => mock.timers.reset());
  const { all, pass, have } = tabs("a", "c", "b");
  for (const s of all.values()) s.take();
  pass();
  assert.deepEqual(have(), ["c"]);
});

test("a clock that is set back takes it from nobody, and one that is gone keeps it from nobody", (t) => {
  mock.timers.enable({ apis: ["Date"], now: 10_000 });
  t.after(() => mock.timers.reset());
  const { all, pass, have } = tabs("a", "b");
  all.get("b")?.take();
  pass();
  mock.timers.setTime(1_000);
  all.delete("b");
  all.get("a")?.take();
  pass();
  assert.deepEqual(have(), ["a"]);
});

test("a log that is asked for anew tells when it may miss something", () => {
  const s = new Seam();
  const at = (n: number) => ({ time: `2026-01-01T00:00:0${n}Z`, text: `${n}` });
  assert.equal(s.misses(at(1)), false); // nothing was known
  s.fresh(at(1));
  s.fresh(at(2));
  assert.equal(s.misses(undefined), false);
  assert.equal(s.misses(at(2)), false);
  assert.equal(s.misses(at(3)), true);
});
