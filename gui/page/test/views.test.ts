import "./browser.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, count, duration, modelName, when } from "../src/format.ts";
import { arrange, groups, matcher } from "../src/list.ts";
import { path, processor } from "../src/plot.tsx";
import { firstWorker, free, together } from "../src/places.ts";
import { fraction, newest, steps, type Job } from "../src/jobs.ts";
import { happeningTone, isHeard, operationTone } from "../src/status.ts";
import { clamp, pieces, range } from "../src/window.ts";
import { machine, type Component } from "../src/wire.ts";

const c = (id: string, more: Partial<Component> = {}): Component => ({ key: `worker/${id}`, kind: "worker", id, ...more });

test("numbers for people", () => {
  assert.deepEqual([0, 1023, 1024, 1536, 104857600, 4.36 * 2 ** 30, undefined].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "100 MiB", "4.4 GiB", "–"]);
  assert.deepEqual([494e6, 7615616512, 999].map(count), ["494M", "7.6B", "999"]);
  assert.deepEqual([-5, 59_999, 61_000, 3_600_000, 90_061_000].map(duration), ["0 s", "59 s", "1 min 1 s", "1 h", "1 d 1 h"]);
  assert.equal(when("0001-01-01T00:00:00Z"), undefined);
  assert.equal(modelName("/models/a.b-q4.gguf"), "a.b-q4");
  assert.equal(modelName("org/name"), "org/name");
});

test("all words of a filter have to occur, and a field can be named", () => {
  const all = [c("a", { status: "online", model: "qwen", hive: "box1" }), c("b", { status: "offline", model: "qwen" }), c("bare")];
  const shown = (q: string) => all.filter(matcher(q)).map((x) => x.id);
  assert.deepEqual(shown(""), ["a", "b", "bare"]);
  assert.deepEqual(shown("QWEN off"), ["b"]);
  assert.deepEqual(shown("status:on hive:box1"), ["a"]);
  assert.deepEqual(shown("http://x"), []);
});

test("the age is that of the life, not of what the registry knows of it", () => {
  const at = (started_at: string | undefined, registered_at: string) => ({ started_at, registered_at });
  const all = [c("young", at("2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z")), c("old", at("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")), c("unsaid", at(undefined, "2026-01-01T12:00:00Z"))];
  assert.deepEqual(arrange(all, "", "age", true).map((x) => x.id), ["old", "unsaid", "young"]);
});

test("what happened is as good as what came of it", () => {
  assert.deepEqual([["started", "starting"], ["registered", "online"], ["registered", "starting"], ["restarted", "online"], ["updated", "stopping"], ["lost", "offline"], ["left", undefined]].map(([what, status]) => happeningTone(what ?? "", status)), ["busy", "good", "busy", "good", "busy", "bad", "off"]);
});

test("names sort as people count, either way, and never by chance", () => {
  const all = [c("w-10"), c("w-9"), c("w-1")];
  assert.deepEqual(arrange(all, "", "name", false).map((x) => x.id), ["w-1", "w-9", "w-10"]);
  assert.deepEqual(arrange(all, "", "name", true).map((x) => x.id), ["w-10", "w-9", "w-1"]);
  assert.deepEqual(arrange(all, "", "restarts", true).map((x) => x.id), ["w-1", "w-9", "w-10"]);
});

test("who is heard was seen last", () => {
  const heard = { status: "online", registered_at: "2026-01-01T00:00:00Z" };
  const all = [c("silent", { status: "offline", last_seen: "2026-01-01T00:00:00Z" }), c("heard", heard), c("fresh", { status: "offline", last_seen: "2026-01-02T00:00:00Z" }), c("never", { status: "ready" }), c("left", { ...heard, gone: true })];
  assert.deepEqual(arrange(all, "", "seen", false).map((x) => x.id), ["heard", "fresh", "silent", "left", "never"]);
  assert.deepEqual(all.filter(isHeard).map((x) => x.id), ["heard"]);
});

test("workers stand with their hive, be it there or not, else with their machine", () => {
  const list = groups([c("a", { hive: "box2" }), c("b", { hive: "lost" }), c("d", { local: true }), c("e", { hostname: "far" }), { key: "hive/box2", kind: "hive", id: "box2" }]);
  assert.deepEqual(list.map((g) => [g.title, g.hive !== undefined, g.workers.map((w) => w.id)]), [
    ["This machine", false, ["d"]],
    ["box2", true, ["a"]],
    ["far", false, ["e"]],
    ["lost", false, ["b"]],
  ]);
});

test("the rows in view, with some around them, of however many", () => {
  assert.deepEqual(range(0, 400, 40), { from: 0, to: 22 });
  assert.deepEqual(range(-4000, 400, 40), { from: 88, to: 122 });
  assert.deepEqual(range(900, 400, 40), { from: 0, to: 0 });
  assert.deepEqual(clamp({ from: 88, to: 122 }, 100), { from: 88, to: 100 });
  assert.deepEqual(clamp({ from: 88, to: 122 }, 3), { from: 2, to: 3 });
  assert.deepEqual(clamp({ from: 0, to: 22 }, 0), { from: 0, to: 0 });
});

test("the row with the focus is there, wherever one scrolls", () => {
  assert.deepEqual(pieces(10, 20, -1, 100), [{ from: 10, to: 20 }, { from: 100, to: 100 }]);
  assert.deepEqual(pieces(10, 20, 19, 100), [{ from: 10, to: 20 }, { from: 100, to: 100 }]);
  assert.deepEqual(pieces(10, 20, 20, 100), [{ from: 10, to: 20 }, { from: 20, to: 21 }, { from: 100, to: 100 }]);
  assert.deepEqual(pieces(10, 20, 3, 100), [{ from: 3, to: 4 }, { from: 10, to: 20 }, { from: 100, to: 100 }]);
});

test("a process that begins anew leaves a gap in the plot, not a cliff", () => {
  const at = (s: number, cpu_ms: number) => ({ time: new Date(1e12 + s * 1000).toISOString(), cpu_ms });
  const points = processor([at(0, 1000), at(5, 3500), at(10, 200), at(15, 5200)]);
  assert.deepEqual(points.map((p) => p.v), [50, undefined, 100]);
  assert.equal(path(points, 60_000, 100).line.split("M").length - 1, 2);
});

test("what one button starts", () => {
  const raw = {
    memory_available_bytes: 10e9,
    engines: [{ name: "llama-server", types: ["llm"], path: "/bin/llama-server" }, { name: "builtin", types: ["*"], explicit: true, path: "/bin/w" }],
    models: [{ name: "small", path: "/m/small.gguf", size_bytes: 1e9 }, { name: "good", path: "/m/good.gguf", memory_bytes: 5e9 }, { name: "huge", memory_bytes: 50e9 }, { name: "bad", size_bytes: 6e9, error: "broken" }],
  };
  assert.equal(firstWorker(machine(raw)).model, "/m/good.gguf");
  assert.equal(firstWorker(machine({ ...raw, engines: raw.engines.slice(1) })).engine, "builtin");
  assert.equal(firstWorker(machine(null)).engine, "builtin");
});

test("what is free is the device's where one is meant, else the machine's", () => {
  const m = machine({ memory_available_bytes: 8, devices: [{ index: 0, memory_bytes: 20, memory_used_bytes: 5 }, { index: 1, memory_bytes: 20, memory_used_bytes: 15 }] });
  assert.deepEqual([free(m, ""), free(m, "1"), free(m, "cpu")], [15, 5, 8]);
});

test("a start through the queen is one, as whoever knows better tells it", () => {
  const queen = "/api/queen";
  const job = (base: string, status: string, more: object = {}): Job => ({ key: `${base}#1`, base, op: { operation_id: "1", request: {}, status, why: base === queen ? "room" : undefined }, events: [], ...more });
  const one = (...jobs: Job[]) => newest(jobs).map((j) => [j.base, j.op.status, j.op.why]);
  assert.deepEqual(one(job(queen, "running"), job("/api/hives/a", "running")), [[queen, "running", "room"]]);
  assert.deepEqual(one(job("/api/hives/a", "running"), job(queen, "running")), [[queen, "running", "room"]]);
  assert.deepEqual(one(job(queen, "running", { lost: "gone" }), job("/api/hives/a", "running")), [["/api/hives/a", "running", "room"]]);
  assert.deepEqual(one(job(queen, "running"), job("/api/hives/a", "succeeded")), [["/api/hives/a", "succeeded", "room"]]);
  assert.deepEqual(one(job(queen, "failed"), job("/api/hives/a", "running")), [["/api/hives/a", "running", "room"]]);
  assert.deepEqual(one(job(queen, "failed"), job("/api/hives/a", "failed")), [[queen, "failed", "room"]]);
});

test("through the queen one may have what any of her hives has", () => {
  const hive = (engine: string, models: object[]) => machine({ engines: [{ name: engine, types: ["llm"], path: "/x" }, { name: "none", types: ["llm"] }], models });
  const all = together([hive("ollama", [{ name: "a" }, { name: "broken", error: "it is" }]), hive("vllm", [{ name: "a" }, { name: "b" }]), hive("ollama", [])]);
  assert.deepEqual(all.engines.map((e) => [e.name, e.types, e.path]), [["ollama", ["llm"], undefined], ["vllm", ["llm"], undefined]]);
  assert.deepEqual(all.models.map((m) => m.name), ["a", "b"]);
});

test("how far a start has come", () => {
  const op = { operation_id: "1", request: {}, status: "running" };
  const worker = { port: 8080, pid: 42, registry: false, queen: false };
  const states = (o: object, events: string[], registered?: boolean) => steps({ op: { ...op, ...o }, events: events.map((event) => ({ event })) }, registered).map((s) => s.state);
  assert.deepEqual(states({}, []), ["now", "later", "later", "later"]);
  assert.deepEqual(states({}, ["leased", "spawned"]), ["done", "done", "now", "later"]);
  assert.deepEqual(states({ status: "failed", phase: "exited", worker_id: "w" }, []), ["done", "done", "failed", "later"]);
  assert.deepEqual(states({ status: "succeeded" }, ["leased", "spawned", "ready"]), ["done", "done", "done", "later"]);
  assert.deepEqual(states({ status: "succeeded", worker }, []), ["done", "done", "done", "later"]);
  assert.deepEqual(states({ status: "succeeded", worker }, [], true), ["done", "done", "done", "done"]);
  assert.deepEqual(states({ status: "succeeded", worker: { ...worker, queen: true } }, []), ["done", "done", "done", "done"]);
  // Whoever stopped it is not told of a failure, before a reload or after.
  const stopped = { status: "failed", phase: "stopped", worker_id: "w", error: { stopped: true } };
  assert.deepEqual(states(stopped, ["leased", "spawned", "stopping", "stopped"]), ["done", "done", "stopped", "later"]);
  assert.deepEqual(states(stopped, []), ["done", "done", "stopped", "later"]);
  assert.equal(operationTone({ ...op, ...stopped }), "off");
  assert.deepEqual(steps({ op: { ...op, status: "succeeded", worker }, events: [] }, false, "no registry").map((s) => s.note), ["8080", "pid 42", "answers", "no registry"]);
  assert.equal(fraction({ event: "progress", model_bytes: 100, seen: { rss_bytes: 40 } }), 0.4);
  assert.equal(fraction({ event: "progress", model_bytes: 100, seen: { rss_bytes: 400 } }), 0.99);
  assert.equal(fraction({ event: "progress" }), undefined);
});
