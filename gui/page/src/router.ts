// Routes are in the hash, so that each view is a link: #/cluster?q=word, #/worker/ID.

import { signal } from "@preact/signals";

export interface Route {
  page: string;
  id: string; // what comes after the page's name
  query: URLSearchParams;
}

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const slash = path.indexOf("/");
  const page = slash < 0 ? path : path.slice(0, slash);
  let id = slash < 0 ? "" : path.slice(slash + 1);
  try {
    id = decodeURIComponent(id);
  } catch {
    // as it is
  }
  return { page: page || "cluster", id, query: new URLSearchParams(query) };
}

export const route = signal<Route>(parse(location.hash));
addEventListener("hashchange", () => (route.value = parse(location.hash)));

export function link(page: string, id = "", query: Record<string, string> = {}): string {
  const q = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== "")).toString();
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ""}${q ? `?${q}` : ""}`;
}

export function go(to: string): void {
  location.hash = to;
}

// replace changes the address without a step in the history: for filters.
export function replace(to: string): void {
  try {
    history.replaceState(history.state, "", to);
  } catch {
    // Some browsers take only so many in a while; the next one will tell the same.
  }
  route.value = parse(to);
}

export const kindPages = ["worker", "hive", "queen", "gui", "registry"];

export function linkTo(c: { kind: string; id: string }): string {
  return kindPages.includes(c.kind) ? link(c.kind, c.id) : link("cluster", "", { q: c.id });
}
