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

// Each step of the history has a number, and the one it was made from, in its state. Where
// a step was scrolled to is remembered, so that going back finds what one has left.
interface Step {
  n: number;
  from?: string; // the address before
}

const places = new Map<number, number>();
let here: Step = stepOf(history.state) ?? mark({ n: 1 });
let last = location.hash;

function stepOf(state: unknown): Step | undefined {
  return typeof state === "object" && state !== null && "n" in state && typeof state.n === "number" ? (state as Step) : undefined;
}

function mark(s: Step): Step {
  try {
    history.replaceState(s, "");
  } catch {
    // Some browsers take only so many in a while.
  }
  return s;
}

addEventListener("scroll", () => places.set(here.n, scrollY), { passive: true });
addEventListener("hashchange", () => {
  const known = stepOf(history.state);
  // A scroll that came just before is not told of yet.
  if (known === undefined) places.set(here.n, scrollY);
  const old = step(here);
  here = known ?? mark({ n: here.n + 1, from: last });
  last = location.hash;
  const before = route.value;
  route.value = parse(location.hash);
  if (known === undefined && view(before) === view(route.value)) places.set(here.n, old);
  const to = places.get(here.n) ?? 0;
  // The new page is drawn by then.
  requestAnimationFrame(() => scrollY !== to && scrollTo(0, to));
});

function step(s: Step): number {
  return places.get(s.n) ?? scrollY;
}

// view is what the address shows: a panel is beside the cluster.
function view(r: Route): string {
  return kindPages.includes(r.page) ? "cluster" : r.page;
}

// leave goes back to the address where one comes from there, or else replaces this step
// by it, so that the way back does not lead here again.
export function leave(to: string): void {
  if ((here.from || link("cluster")) === to && here.from !== undefined) history.back();
  else replace(to);
}

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
    last = location.hash;
  } catch {
    // Some browsers take only so many in a while; the next one will tell the same.
  }
  route.value = parse(to);
}

export const kindPages = ["worker", "hive", "queen", "gui", "registry"];

export function linkTo(c: { kind: string; id: string }): string {
  return kindPages.includes(c.kind) ? link(c.kind, c.id) : link("cluster", "", { q: c.id });
}
