// Spawns. They are the server's: the page asks what there is and follows it, so that a
// reload, or another tab, shows the same. It asks again and again, two at a time: a stream
// for each would take connections, of which a browser has six for all its tabs.

import { signal } from "@preact/signals";
import { ask, Problem, say, send } from "./http.ts";
import { others, tellJobs } from "./live.ts";
import { notify } from "./parts.tsx";
import { backoff, gather, pause } from "./sse.ts";
import { store } from "./store.ts";
import { json, launchEvent, operation, type Component, type LaunchEvent, type Operation, type SpawnRequest } from "./wire.ts";

export interface Job {
  key: string;
  base: string; // of the server that has it
  op: Operation;
  events: readonly LaunchEvent[]; // without progress
  progress?: LaunchEvent; // the last
  lost?: string; // why it is not followed at the moment
  read?: boolean; // its events were, to their end
  cancelling?: boolean;
}

export const jobs = signal<ReadonlyMap<string, Job>>(new Map());
export const jobsRead = signal(false);
// unread are the servers that do not say what they have, by their base, and why.
export const unread = signal<ReadonlyMap<string, string>>(new Map());

const between = 500; // ms
const kept = 50;

export const isQueen = (base: string) => base === store.hello.value.queen;
const path = (base: string) => (isQueen(base) ? `${base}/v1/queen/operations` : `${base}/v1/hive/operations`);
const keyOf = (base: string, id: string) => `${base}#${id}`;

function put(key: string, change: (old: Job | undefined) => Job): void {
  const next = new Map(jobs.value);
  next.set(key, change(next.get(key)));
  jobs.value = next;
}

function patch(key: string, change: Partial<Job>): void {
  const old = jobs.value.get(key);
  if (old) put(key, () => ({ ...old, ...change }));
}

function known(base: string, op: Operation): void {
  put(keyOf(base, op.operation_id), (old) => ({ events: [], ...old, key: keyOf(base, op.operation_id), base, op }));
}

// newest is one job for each operation, those that run first.
export function newest(all: Iterable<Job>): Job[] {
  const running = (j: Job) => (j.op.status === "running" ? 1 : 0);
  const byID = new Map<string, Job>();
  for (const j of all) {
    const other = byID.get(j.op.operation_id);
    byID.set(j.op.operation_id, other ? nearer(other, j) : j);
  }
  return [...byID.values()]
    .sort((a, b) => running(b) - running(a) || (b.op.started_at ?? "").localeCompare(a.op.started_at ?? ""))
    .slice(0, kept);
}

// nearer is one of two that are the same start: the queen's is her hive's, under the same
// id. Hers says why it is there; where she has lost sight of it, the hive knows better.
function nearer(a: Job, b: Job): Job {
  const [hers, its] = isQueen(a.base) ? [a, b] : [b, a];
  const lost =
    (hers.lost !== undefined && its.lost === undefined) ||
    (hers.op.status === "failed" && its.op.status !== "failed") ||
    (hers.op.status === "running" && its.op.status !== "running");
  return lost ? { ...its, op: { ...its.op, why: hers.op.why } } : hers;
}

// readJobs asks each server what it has; one that does not answer has kept its last.
export async function readJobs(bases: readonly string[], signal: AbortSignal): Promise<void> {
  const failed = new Map<string, string>();
  await Promise.all(
    bases.map(async (base) => {
      try {
        const list = await ask(path(base), signal);
        const ops = (Array.isArray(list) ? list : []).flatMap((o) => operation(o) ?? []);
        const there = new Set(ops.map((o) => keyOf(base, o.operation_id)));
        const next = new Map([...jobs.value].filter(([key, j]) => j.base !== base || there.has(key) || j.op.status === "running"));
        jobs.value = next;
        for (const op of ops) known(base, op);
      } catch (err) {
        failed.set(base, say(err));
      }
    }),
  );
  if (signal.aborted) return;
  unread.value = failed;
  jobsRead.value = true;
}

// followJobs asks after those that run, and how those came to their end that have failed,
// until there are none, or the signal aborts. It is called again when there may be another.
export async function followJobs(signal: AbortSignal): Promise<void> {
  const waits = new Map<string, { failures: number; until: number }>();
  const due = (j: Job) => (j.op.status === "running" || (j.op.status === "failed" && !j.read)) && !signal.aborted;
  const look = async (list: Job[]) => {
    for (let j = list.shift(); j; j = list.shift()) {
      if (Date.now() < (waits.get(j.key)?.until ?? 0)) continue;
      const failures = (waits.get(j.key)?.failures ?? 0) + 1;
      if (await readEvents(j, signal)) waits.delete(j.key);
      else waits.set(j.key, { failures, until: Date.now() + backoff(failures) });
    }
  };
  for (;;) {
    const list = newest(jobs.value.values()).filter(due);
    if (list.length === 0) return;
    await Promise.all([look(list), look(list)]);
    await pause(between, signal);
  }
}

// readEvents reads how a start stands, with all that has happened to it. It reports
// whether there was an answer.
async function readEvents(j: Job, signal: AbortSignal): Promise<boolean> {
  const running = j.op.status === "running";
  const next: Partial<Job> = { lost: undefined };
  const events: LaunchEvent[] = [];
  try {
    for (const m of await gather(`${path(j.base)}/${encodeURIComponent(j.op.operation_id)}/events?follow=false`, signal)) {
      if (m.event === "operation" || m.event === "end") {
        next.op = operation(json(m.data)) ?? j.op;
        if (m.event === "end") next.read = true;
        continue;
      }
      const e = m.event === "message" ? launchEvent(json(m.data)) : undefined;
      if (e?.event === "progress") next.progress = e;
      else if (e) events.push(e);
    }
    patch(j.key, { ...next, events: events.slice(-200) });
    return true;
  } catch (err) {
    if (signal.aborted) return false;
    if (err instanceof Problem && err.final) {
      // It is not there any more: the server has forgotten it, or is a new one.
      patch(j.key, { lost: undefined, read: true, ...(running && { op: { ...j.op, status: "failed", error: { detail: `nothing more is known of it: ${say(err)}` } } }) });
    } else {
      patch(j.key, running ? { lost: say(err) } : { read: true }); // what has failed stays as it is
    }
    return false;
  }
}

// spawn begins one, and gives its key. It throws the Problem of a refusal.
export async function spawn(base: string, req: SpawnRequest): Promise<string> {
  const where = isQueen(base) ? `${base}/v1/queen/spawn-worker` : `${base}/v1/hive/workers`;
  const op = operation(await send("POST", where, req));
  if (!op) throw new Error("the answer names no operation");
  known(base, op);
  changes.value++;
  tellJobs();
  return keyOf(base, op.operation_id);
}

export async function cancel(j: Job): Promise<void> {
  patch(j.key, { cancelling: true });
  try {
    await send("DELETE", `${path(j.base)}/${encodeURIComponent(j.op.operation_id)}`);
  } catch (err) {
    notify(`cancel the start: ${say(err)}`, "bad");
    patch(j.key, { cancelling: false });
  }
}

// changes grows when this tab or another one has begun a spawn.
export const changes = signal(0);
others.jobs = () => changes.value++;

// fraction is how much of the model is there, as far as memory and reading tell; none
// when nobody knows the size, or all of it is read and something else goes on.
export function fraction(p: LaunchEvent | undefined): number | undefined {
  const size = p?.model_bytes;
  if (!size || size <= 0) return undefined;
  const have = Math.max(p?.seen?.rss_bytes ?? 0, p?.seen?.io_bytes ?? 0);
  return Math.min(0.99, have / size);
}

// requested is what a worker was asked for with, by the server that started it.
export async function requested(base: string, worker: string): Promise<SpawnRequest | undefined> {
  const list = await ask(path(base));
  const ops = (Array.isArray(list) ? list : []).flatMap((o) => operation(o) ?? []);
  return ops.find((o) => o.worker_id === worker && o.status !== "failed")?.request; // the newest comes first
}

const unseenFor = 30_000; // ms that a worker may take to be known

// whatBecame is what is known of the worker of a start that has succeeded: ids are given
// anew, so it is there as long as its instance is. seen is whether it ever was, sinceMs how
// long ago it was ready.
export function whatBecame(op: Operation, c: Component | undefined, seen: boolean, sinceMs: number): "there" | "other" | "gone" {
  const instance = op.worker?.instance_id;
  if (!c) return seen || sinceMs > unseenFor ? "gone" : "there"; // it may be about to register
  return instance !== undefined && c.instance_id !== undefined && c.instance_id !== instance ? "other" : "there";
}

export type StepState = "done" | "now" | "failed" | "stopped" | "later";
export interface Step {
  name: string;
  state: StepState;
  note: string;
}

// steps is how far a start has come. registered is whether the registry knows the worker
// now; unregistered says why not, of one that is there.
export function steps(j: Pick<Job, "op" | "events">, registered = false, unregistered = ""): Step[] {
  const last = (name: string) => j.events.findLast((e) => e.event === name);
  const w = j.op.worker;
  const port = last("leased")?.port ?? w?.port;
  const pid = last("spawned")?.pid ?? w?.pid;
  const at = new Set(j.events.flatMap((e) => (e.event === "registered" && e.with ? [e.with] : [])));
  if (registered || w?.registry) at.add("registry");
  if (w?.queen) at.add("queen");
  const phase = j.op.phase ?? "";
  const order = ["leased", "spawned", "ready", "registered"];
  const reached = Math.max(
    order.indexOf(phase),
    ...order.map((name, i) => (last(name) ? i : -1)),
    j.op.status === "succeeded" ? 2 : -1,
    at.size > 0 ? 3 : -1,
    // Of one that had ended before we came, until its events are read.
    ["exited", "restarting", "unhealthy", "stopping", "settling", "stopped"].includes(phase) && j.op.worker_id ? 1 : j.op.worker_id ? 0 : -1,
  );
  const next: Record<string, StepState> = { running: "now", failed: j.op.error?.stopped ? "stopped" : "failed" };
  return [
    { name: "Port", note: port ? String(port) : "" },
    { name: "Process", note: pid ? `pid ${pid}` : "" },
    { name: "Ready", note: reached >= 2 ? "answers" : "" },
    { name: "Registered", note: at.size > 0 ? [...at].join(", ") : j.op.status === "succeeded" ? unregistered : "" },
  ].map((s, i) => ({ ...s, state: i <= reached ? "done" : i > reached + 1 ? "later" : (next[j.op.status] ?? "later") }));
}
