// Where workers can be started, and what is there.

import { computed, signal } from "@preact/signals";
import { ask, say } from "./http.ts";
import { components, queen, store } from "./store.ts";
import { machine, type Engine, type Machine, type Model, type SpawnRequest } from "./wire.ts";

export interface Place {
  base: string;
  name: string;
  why?: string; // why nothing can be started there
}

const hives = "/api/hives/";
export const hiveBase = (id: string) => `${hives}${encodeURIComponent(id)}`;
// hiveIn is the id of the hive whose base it is, "" for another base.
export const hiveIn = (base: string) => (base.startsWith(hives) ? decodeURIComponent(base.slice(hives.length)) : "");

export const places = computed<Place[]>(() => {
  const hello = store.hello.value;
  const list: Place[] = [{ base: hello.here, name: hello.hostname ? `This machine (${hello.hostname})` : "This machine" }];
  for (const c of components.value.values()) {
    if (c.kind !== "hive") continue;
    list.push({
      base: hiveBase(c.id),
      name: `Hive ${c.id}`,
      why: c.status === "offline" ? "it is offline" : undefined,
    });
  }
  const q = queen.value;
  if (q) list.push({ base: hello.queen, name: "Wherever the queen decides" });
  return list;
});

export interface Look {
  machine?: Machine;
  error?: string;
  at?: number;
}

export const looks = signal<ReadonlyMap<string, Look>>(new Map());

// look asks a place what it has. What was last known stays until there is an answer.
export async function look(base: string, signal?: AbortSignal): Promise<void> {
  const put = (l: Look) => (looks.value = new Map(looks.value).set(base, l));
  try {
    const m = machine(await ask(`${base}/capabilities`, signal));
    put({ machine: m, at: Date.now() });
  } catch (err) {
    if (!signal?.aborted) put({ ...looks.value.get(base), error: say(err) });
  }
}

// free is what a model may take: the freest device's, where there is one, or the machine's.
export function free(m: Machine, device: string): number | undefined {
  const own = m.devices.filter((d) => d.memory_bytes);
  const chosen = own.filter((d) => String(d.index) === device || d.uuid === device);
  const list = device === "cpu" ? [] : chosen.length ? chosen : own;
  if (list.length === 0) return m.memory_available_bytes;
  return Math.max(...list.map((d) => (d.memory_bytes ?? 0) - (d.memory_used_bytes ?? 0)));
}

// need is the memory a model is thought to take; its size where nobody has an estimate.
export function need(m: Model): number | undefined {
  return m.memory_bytes ?? m.size_bytes;
}

export function installed(m: Machine): Engine[] {
  return m.engines.filter((e) => e.path !== undefined || e.name === "builtin");
}

// together is what there is at all of these places: the queen chooses among them.
export function together(all: Iterable<Machine>): Pick<Machine, "engines" | "models"> {
  const engines = new Map<string, Engine>();
  const models = new Map<string, Model>();
  for (const m of all) {
    for (const e of installed(m)) {
      const types = new Set([...(engines.get(e.name)?.types ?? []), ...e.types]);
      engines.set(e.name, { name: e.name, types: [...types], explicit: e.explicit }); // each has it elsewhere
    }
    for (const x of m.models) if (!x.error) models.set(x.name, x);
  }
  return { engines: [...engines.values()], models: [...models.values()] };
}

// firstWorker is what one button starts: the largest model that fits easily, on an engine
// that takes files, else the simulation that is built in.
export function firstWorker(m: Machine): SpawnRequest {
  const engines = installed(m).filter((e) => !e.explicit && e.path);
  const engine = engines.find((e) => e.name === "llama-server") ?? engines.find((e) => e.name === "ollama");
  const room = free(m, "") ?? 0;
  const fits = m.models
    .filter((x) => !x.error && (need(x) ?? Infinity) < room * 0.7)
    .sort((a, b) => (need(b) ?? 0) - (need(a) ?? 0));
  const model = fits[0];
  if (engine && model) return { worker_type: engine.types[0] ?? "llm", engine: engine.name, model: model.path ?? model.name };
  return { worker_type: "llm", engine: "builtin", model: "demo" };
}
