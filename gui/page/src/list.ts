// Which components the table shows, and in which order.

import { modelName, when } from "./format.ts";
import { hiveOf, isHeard, statusOf, statusRank, tone } from "./status.ts";
import type { Component } from "./wire.ts";

export type Column = "status" | "name" | "kind" | "model" | "where" | "age" | "seen" | "restarts";

const hay = new WeakMap<Component, string>();

// haystack is what a filter looks in. A component that changes is another object, so it
// is made once.
function haystack(c: Component): string {
  let h = hay.get(c);
  if (h === undefined) {
    h = [c.id, c.kind, statusOf(c), c.worker_type, c.model, c.serves, c.engine, c.hive, c.hostname, c.port, c.url, c.instance_id]
      .filter((v) => v !== undefined)
      .join(" ")
      .toLowerCase();
    hay.set(c, h);
  }
  return h;
}

const fields: Record<string, (c: Component) => string | undefined> = {
  status: statusOf,
  kind: (c) => c.kind,
  model: (c) => (c.serves ? `${c.model} ${c.serves}` : c.model),
  engine: (c) => c.engine,
  type: (c) => c.worker_type,
  hive: hiveOf,
  host: (c) => c.hostname,
};

// matcher takes words that all have to occur, and FIELD:VALUE for one field.
export function matcher(query: string): (c: Component) => boolean {
  const tests = query
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => {
      const colon = word.indexOf(":");
      const field = colon > 0 ? fields[word.slice(0, colon)] : undefined;
      if (!field) return (c: Component) => haystack(c).includes(word);
      const value = word.slice(colon + 1);
      return (c: Component) => (value === "" ? true : (field(c) ?? "").toLowerCase().includes(value));
    });
  return (c) => tests.every((t) => t(c));
}

const kinds = ["registry", "queen", "hive", "worker", "gui"];

const collator = new Intl.Collator("en", { numeric: true });

function value(c: Component, by: Column): string | number {
  switch (by) {
    case "status":
      return statusRank[tone(statusOf(c))];
    case "name":
      return c.id;
    case "kind":
      return kinds.indexOf(c.kind);
    case "model":
      return `${modelName(c.model)} ${c.engine ?? ""}`;
    case "where":
      return `${c.hostname ?? ""} ${c.port ?? ""}`;
    case "age":
      return -(when(c.started_at ?? c.registered_at) ?? 0);
    case "seen":
      return isHeard(c) ? -Infinity : -(when(c.last_seen) ?? 0);
    case "restarts":
      return c.restarts ?? -1;
  }
}

export function arrange(all: Iterable<Component>, query: string, by: Column, down: boolean): Component[] {
  const match = matcher(query);
  const keyed = [];
  for (const c of all) if (match(c)) keyed.push({ c, v: value(c, by) });
  keyed.sort((a, b) => {
    const order =
      typeof a.v === "number" && typeof b.v === "number" ? a.v - b.v : collator.compare(String(a.v), String(b.v));
    return (down ? -order : order) || collator.compare(a.c.key, b.c.key);
  });
  return keyed.map((k) => k.c);
}

// Group is a hive and its workers, or a machine's workers without one.
export interface Group {
  key: string;
  title: string;
  hive?: Component;
  workers: Component[];
  query: string; // that shows the same in the table
  all: number; // workers, of which a filter has left some
}

export function groups(all: Iterable<Component>): Group[] {
  const found = new Map<string, Group>();
  const workers: Component[] = [];
  for (const c of all) {
    if (c.kind === "hive") found.set(`hive ${c.id}`, { key: `hive ${c.id}`, title: c.id, hive: c, workers: [], query: `hive:${c.id}`, all: 0 });
    else if (c.kind === "worker") workers.push(c);
  }
  for (const w of workers) {
    const host = w.hostname ?? "somewhere";
    const key = w.hive ? `hive ${w.hive}` : w.local ? "local" : `host ${host}`;
    let g = found.get(key);
    if (!g) {
      g = w.hive
        ? { key, title: w.hive, workers: [], query: `hive:${w.hive}`, all: 0 }
        : { key, title: w.local ? "This machine" : host, workers: [], query: `kind:worker host:${host}`, all: 0 };
      found.set(key, g);
    }
    g.workers.push(w);
    g.all++;
  }
  const list = [...found.values()];
  for (const g of list) {
    g.workers.sort((a, b) => statusRank[tone(statusOf(a))] - statusRank[tone(statusOf(b))] || collator.compare(a.id, b.id));
  }
  return list.sort((a, b) => Number(b.key === "local") - Number(a.key === "local") || collator.compare(a.title, b.title));
}

// matching are the groups that a filter leaves, with those workers that it does.
export function matching(list: readonly Group[], query: string): Group[] {
  const match = matcher(query);
  return list.flatMap((g) => {
    const workers = g.workers.filter(match);
    return workers.length > 0 || (g.hive && match(g.hive)) ? { ...g, workers } : [];
  });
}
