// Spawns. They are the server's: the page asks what there is and follows it, so that a
// reload, or another tab, shows the same. Two are followed at a time, since each takes a
// connection and a browser has six.

import { signal } from "@preact/signals";
import { ask, say, send } from "./http.ts";
import { others, tellJobs } from "./live.ts";
import { notify } from "./parts.tsx";
import { follow } from "./sse.ts";
import { store } from "./store.ts";
import { json, launchEvent, operation, type LaunchEvent, type Operation, type SpawnRequest } from "./wire.ts";

export interface Job {
  key: string;
  base: string; // of the server that has it
  op: Operation;
  events: readonly LaunchEvent[]; // without progress
  progress?: LaunchEvent; // the last
  lost?: string; // why it is not followed at the moment
  cancelling?: boolean;
}

export const jobs = signal<ReadonlyMap<string, Job>>(new Map());
export const jobsRead = signal(false);

const atOnce = 2;
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

// newest is all jobs, those that run first.
export function newest(all: Iterable<Job>): Job[] {
  const running = (j: Job) => (j.op.status === "running" ? 1 : 0);
  return [...all]
    .sort((a, b) => running(b) - running(a) || (b.op.started_at ?? "").localeCompare(a.op.started_at ?? ""))
    .slice(0, kept);
}

// readJobs asks each server what it has; one that does not answer has kept its last.
export async function readJobs(bases: readonly string[], signal: AbortSignal): Promise<void> {
  await Promise.all(
    bases.map(async (base) => {
      try {
        const list = await ask(path(base), signal);
        const ops = (Array.isArray(list) ? list : []).flatMap((o) => operation(o) ?? []);
        const there = new Set(ops.map((o) => keyOf(base, o.operation_id)));
        const next = new Map([...jobs.value].filter(([key, j]) => j.base !== base || there.has(key) || j.op.status === "running"));
        jobs.value = next;
        for (const op of ops) known(base, op);
      } catch {
        // the form says what is wrong with the place
      }
    }),
  );
  if (!signal.aborted) jobsRead.value = true;
}

const followed = new Map<string, AbortSignal>();

// followJobs follows those that run until the signal aborts. It is called again whenever
// there may be another.
export function followJobs(signal: AbortSignal): void {
  if (signal.aborted) return;
  for (const [key, by] of followed) if (by.aborted) followed.delete(key);
  for (const j of newest(jobs.value.values())) {
    if (followed.size >= atOnce) return;
    if (j.op.status !== "running" || followed.has(j.key)) continue;
    followed.set(j.key, signal);
    void one(j, signal).finally(() => {
      if (followed.get(j.key) === signal) followed.delete(j.key);
      followJobs(signal);
    });
  }
}

async function one(j: Job, signal: AbortSignal): Promise<void> {
  try {
    await follow({
      url: `${path(j.base)}/${encodeURIComponent(j.op.operation_id)}/events`,
      signal,
      opened: () => patch(j.key, { events: [], lost: undefined }),
      lost: (why) => patch(j.key, { lost: why }),
      each: (m) => {
        if (m.event === "operation" || m.event === "end") {
          const op = operation(json(m.data));
          if (op) patch(j.key, { op });
          return m.event === "end" ? "end" : undefined;
        }
        const e = m.event === "message" ? launchEvent(json(m.data)) : undefined;
        if (!e) return undefined;
        if (e.event === "progress") patch(j.key, { progress: e });
        else patch(j.key, { events: [...(jobs.value.get(j.key)?.events ?? []), e].slice(-200) });
        return undefined;
      },
    });
  } catch (err) {
    // It is not there any more: the server has forgotten it, or is a new one.
    patch(j.key, { lost: undefined, op: { ...j.op, status: "failed", error: { detail: `nothing more is known of it: ${say(err)}` } } });
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

export type StepState = "done" | "now" | "failed" | "later";
export interface Step {
  name: string;
  state: StepState;
  note: string;
}

// steps is how far a start has come.
export function steps(j: Pick<Job, "op" | "events">): Step[] {
  const last = (name: string) => j.events.findLast((e) => e.event === name);
  const leased = last("leased");
  const spawned = last("spawned");
  const ready = last("ready");
  const registered = j.events.filter((e) => e.event === "registered").map((e) => e.with);
  const phase = j.op.phase ?? "";
  const order = ["leased", "spawned", "ready", "registered"];
  const reached = Math.max(
    order.indexOf(phase),
    ...order.map((name, i) => (last(name) ? i : -1)),
    j.op.status === "succeeded" ? 3 : -1,
    // One that had ended before we came is known by where it stands alone.
    ["exited", "restarting", "unhealthy", "stopping"].includes(phase) ? 1 : j.op.worker_id ? 0 : -1,
  );
  const list = [
    { name: "Port", note: leased?.port ? String(leased.port) : "" },
    { name: "Process", note: spawned?.pid ? `pid ${spawned.pid}` : "" },
    { name: "Ready", note: ready ? "answers" : "" },
    { name: "Registered", note: [...new Set(registered)].filter(Boolean).join(", ") },
  ];
  return list.map((s, i) => ({
    ...s,
    state: i <= reached ? "done" : i > reached + 1 ? "later" : j.op.status === "failed" ? "failed" : j.op.status === "running" ? "now" : "done",
  }));
}
