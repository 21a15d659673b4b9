import "./browser.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Following } from "../src/follow.ts";

test("a box follows its end until its reader scrolls up, and again from when he is back", () => {
  let top = 0;
  const box = {
    scrollHeight: 400,
    clientHeight: 400,
    get scrollTop() { return top; },
    set scrollTop(to: number) { top = Math.min(to, this.scrollHeight - this.clientHeight); },
  };
  const f = new Following();
  const grow = (by: number) => {
    box.scrollHeight += by;
    f.grown(box);
  };
  const scroll = (to: number) => {
    box.scrollTop = to;
    f.scrolled(box);
  };
  grow(300);
  box.scrollHeight += 200; // it has grown before it is told that it was scrolled
  f.scrolled(box);
  assert.equal(f.on, true);
  grow(100);
  assert.equal(box.scrollTop, 600);
  scroll(590);
  assert.equal(f.on, false);
  grow(100);
  assert.equal(box.scrollTop, 590);
  scroll(640);
  assert.equal(f.on, false);
  scroll(695);
  assert.equal(f.on, true);
  box.clientHeight = 600; // larger: the browser scrolls up, and is at the end all the same
  scroll(500);
  assert.equal(f.on, true);
});
