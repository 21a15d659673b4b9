import "./browser.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Following } from "../src/follow.ts";
import { parse } from "../src/router.ts";
import { another, Conversation, conversation, history, lastOf, lastPlace, openPlace, placeLink, placeOf } from "../src/talks.ts";

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

test("a conversation belongs to one place, which the address tells", () => {
  const at = (hash: string) => placeOf(parse(hash));
  assert.equal(at("#/talk"), undefined);
  assert.deepEqual(at("#/talk/a%2Fb"), { queen: false, name: "a/b" });
  assert.deepEqual(at("#/talk?via=queen&model=org%2Fm"), { queen: true, name: "org/m" });
  for (const p of [{ queen: false, name: "a/b" }, { queen: true, name: "org/m&n" }, { queen: true, name: "" }, { queen: false, name: "" }]) assert.deepEqual(at(placeLink(p)), p);
  const [a, b, viaQueen] = [{ queen: false, name: "a" }, { queen: false, name: "b" }, { queen: true, name: "a" }];
  conversation(a).draft.value = "for a";
  assert.equal(conversation(b).draft.value, "");
  assert.equal(conversation(viaQueen).draft.value, "");
  assert.equal(conversation({ ...a }).draft.value, "for a");
  openPlace(b);
  openPlace(viaQueen);
  openPlace(a);
  openPlace(viaQueen);
  assert.deepEqual([lastPlace.value, lastOf(false), lastOf(true)], [viaQueen, a, viaQueen]);
});

test("what is written before it is known where to is not lost, and replaces nothing", () => {
  const c = conversation({ queen: false, name: "c" });
  conversation({ queen: false, name: "" }).draft.value = "early";
  openPlace({ queen: false, name: "c" });
  assert.equal(c.draft.value, "early");
  conversation({ queen: false, name: "" }).draft.value = "more";
  openPlace({ queen: false, name: "c" });
  assert.equal(c.draft.value, "early");
});

test("another worker with the same id is another, the same one started again is not", () => {
  const who = { instance_id: "1", hostname: "box", model: "m" };
  assert.equal(another(undefined, who), false);
  assert.equal(another(who, { ...who, instance_id: "2" }), false);
  assert.equal(another(who, { instance_id: "2" }), false);
  assert.equal(another(who, { ...who, instance_id: "2", model: "n" }), true);
  assert.equal(another(who, { ...who, instance_id: "2", hostname: "box2" }), true);
  assert.equal(another(who, { ...who, model: "alias" }), false); // it is still that one, by another name
});

test("what was not answered, or was said to another, is not told again", () => {
  let n = 0;
  const turn = (role: "user" | "assistant", content: string, anew?: string) => ({ n: ++n, role, content, anew });
  const turns = [turn("user", "a"), turn("assistant", "A"), turn("user", "b"), turn("assistant", ""), turn("user", "c"), turn("assistant", "C")];
  assert.deepEqual(history(turns).map((t) => t.content), ["a", "A", "c", "C"]);
  assert.deepEqual(history([...turns, turn("user", "d", "another"), turn("assistant", "D")]).map((t) => t.content), ["d", "D"]);
});

test("a conversation comes back as it was kept, and from nonsense as an empty one", () => {
  const c = new Conversation();
  c.turns.value = [{ n: 1, role: "user", content: "hello" }, { n: 2, role: "assistant", content: "he" }];
  c.draft.value = "next";
  c.running.value = new AbortController();
  const again = new Conversation(JSON.parse(JSON.stringify(c.kept())));
  assert.deepEqual(again.turns.value.map((t) => [t.n, t.content]), [[1, "hello"], [2, "he"]]);
  assert.match(again.turns.value[1]?.problem ?? "", /loaded again/);
  assert.equal(again.draft.value, "next");
  assert.equal(new Conversation().kept(), undefined);
  for (const bad of [null, 7, [], { turns: null, draft: 3 }, { turns: [null, {}, { role: "user" }] }]) assert.equal(new Conversation(bad).turns.value.length, 0);
});

test("what was cleared comes back, and nothing is cleared under an answer", () => {
  const c = new Conversation();
  const turns = [{ n: 1, role: "user" as const, content: "hello" }];
  c.turns.value = turns;
  c.running.value = new AbortController();
  c.clear(); // the answer is still on its way
  assert.equal(c.turns.value, turns);
  c.running.value = undefined;
  c.clear();
  assert.equal(c.turns.value.length, 0);
  assert.equal(c.kept(), undefined);
  c.undo();
  assert.equal(c.turns.value, turns);
  c.undo();
  assert.equal(c.turns.value, turns);
});
