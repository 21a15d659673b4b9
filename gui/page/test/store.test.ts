import assert from "node:assert/strict";
import { test } from "node:test";
import { merge, Store } from "../src/store.ts";

// by hand: nothing is shown until flush is called.
const make = () => new Store(() => {});
const worker = (id: string, more: object = {}) => ({ key: `worker/${id}`, kind: "worker", id, status: "online", ...more });
const connected = { state: "connected", url: "http://127.0.0.1:7830" };

test("a component that says the same stays the same object", () => {
  const s = make();
  s.take("cluster", { registry: connected, components: [worker("a"), worker("b")] });
  s.flush();
  const before = s.shown.value.components;
  s.take("changed", { upsert: [worker("a"), worker("b", { status: "offline" })] });
  s.flush();
  const after = s.shown.value.components;
  assert.equal(after.get("worker/a"), before.get("worker/a"));
  assert.notEqual(after.get("worker/b"), before.get("worker/b"));
  assert.equal(after.get("worker/b")?.status, "offline");
});

test("a whole cluster removes what is not in it, unless the registry is away", () => {
  const s = make();
  s.take("cluster", { registry: connected, components: [worker("far"), worker("here", { local: true })] });
  s.take("cluster", { registry: { state: "away" }, components: [] });
  s.flush();
  assert.deepEqual([...s.shown.value.components.keys()], ["worker/far"]);
  s.take("cluster", { registry: { state: "none" }, components: [worker("here", { local: true })] }); // started without one
  s.flush();
  assert.deepEqual([...s.shown.value.components.keys()], ["worker/here"]);
  s.take("cluster", { registry: connected, components: [] });
  s.flush();
  assert.equal(s.shown.value.components.size, 0);
});

test("a pause shows nothing new, counts it, and ends with all of it", () => {
  const s = make();
  s.take("cluster", { registry: connected, components: [worker("a")] });
  s.flush();
  s.pause(true);
  s.take("changed", { upsert: [worker("b")], remove: ["worker/a"] });
  s.flush();
  assert.deepEqual([...s.shown.value.components.keys()], ["worker/a"]);
  assert.equal(s.waiting.value, 2);
  s.pause(false);
  assert.deepEqual([...s.shown.value.components.keys()], ["worker/b"]);
  assert.equal(s.waiting.value, 0);
});

test("fields that are missing, null or of another type do no harm", () => {
  const s = make();
  s.take("cluster", {
    registry: null,
    components: [null, 7, {}, { key: "worker/x", status: null, metadata: null, port: "80", restarts: null }, { kind: "hive", id: "h" }],
  });
  s.take("changed", { upsert: null, remove: null, registry: undefined });
  s.take("happened", [null, {}, { what: "lost" }]);
  s.take("hello", null);
  s.take("unheard of", {});
  s.flush();
  assert.deepEqual([...s.shown.value.components.values()], [
    { key: "worker/x", kind: "worker", id: "x" },
    { key: "hive/h", kind: "hive", id: "h" },
  ]);
  assert.equal(s.shown.value.happenings.length, 1);
});

test("another tab gets what a stream would begin with", () => {
  const a = make();
  const b = make();
  a.take("hello", { version: "1", here: "/api/here", queen: "/api/queen" });
  a.take("cluster", { registry: connected, components: [worker("a", { port: 8080 })] });
  a.take("happened", [{ time: "2026-11-25T10:00:00Z", what: "lost", id: "a" }]);
  for (const [event, data] of a.snapshot()) b.take(event, structuredClone(data));
  a.flush();
  b.flush();
  assert.deepEqual(b.shown.value, a.shown.value);
  assert.deepEqual(b.hello.value, a.hello.value);
});

test("ages are reckoned by the server's clock, in every tab", () => {
  const a = make();
  const b = make();
  const hour = 3_600_000;
  a.take("hello", { time: new Date(Date.now() - 2 * hour).toISOString() });
  b.take("hello", structuredClone(a.snapshot()[0]?.[1]));
  for (const s of [a, b]) assert.equal(Math.round((s.now() - Date.now()) / hour), -2);
  a.take("hello", { time: null });
  assert.equal(Math.round((a.now() - Date.now()) / hour), -2);
});

test("only news are announced, not what a stream begins with", () => {
  const s = make();
  const said: string[] = [];
  s.announce = (news) => said.push(...news.map((h) => h.what));
  s.take("cluster", { components: [] });
  s.take("happened", [{ time: "2026-11-25T10:00:00Z", what: "lost" }]);
  s.take("happened", [{ time: "2026-11-25T10:00:01Z", what: "back" }]);
  assert.deepEqual(said, ["back"]);
});

test("happenings are merged newest first, each once", () => {
  const at = (s: number, what: string) => ({ time: `2026-11-25T10:00:0${s}Z`, key: "worker/a", what });
  const known = merge([at(2, "lost"), at(1, "registered")], []);
  const merged = merge([at(3, "back"), at(2, "lost")], known);
  assert.deepEqual(merged.map((h) => h.what), ["back", "lost", "registered"]);
  assert.equal(merge([at(2, "lost")], merged), merged);
});
