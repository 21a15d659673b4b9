// What the page knows of the cluster. Messages change the store at once; what is shown
// changes when it is flushed, so that a burst of messages costs one redraw, and a pause
// is no more than a flush that waits. A component that has not changed stays the same
// object, by which rows know that there is nothing to redraw.

import { computed, signal } from "@preact/signals";
import { when } from "./format.ts";
import { component, happening, isFields, registry, text, type Component, type Happening, type Hello, type Registry } from "./wire.ts";

export const keptHappenings = 500; // as many as the server has

export interface Shown {
  registry: Registry;
  components: ReadonlyMap<string, Component>;
  happenings: readonly Happening[];
}

export class Store {
  readonly shown = signal<Shown>({ registry: { state: "unknown" }, components: new Map(), happenings: [] });
  readonly hello = signal<Hello>({ here: "/api/here", queen: "/api/queen" });
  readonly whole = signal(false); // whether there ever was a cluster to show
  readonly paused = signal(false);
  readonly waiting = signal(0); // changes since the pause

  private ahead = 0; // of the server's clock, in ms

  private registry: Registry = { state: "unknown" };
  private components = new Map<string, Component>();
  private happenings: Happening[] = [];
  private first = true; // the next happenings are all there are, not news
  private changes = 0;
  private scheduled = false;

  // announce gets what has just happened, for those who can't see the page change.
  announce: (news: Happening[]) => void = () => {};

  constructor(private readonly schedule: (flush: () => void) => void = nextFrame) {}

  // take applies one event of the stream.
  take(event: string, data: unknown): void {
    switch (event) {
      case "hello":
        if (isFields(data)) {
          this.hello.value = {
            version: text(data, "version"), hostname: text(data, "hostname"),
            here: text(data, "here") ?? "/api/here", queen: text(data, "queen") ?? "/api/queen",
          };
          const theirs = when(text(data, "time"));
          if (theirs !== undefined) this.ahead = theirs - Date.now();
        }
        return;
      case "cluster":
        this.cluster(data);
        return;
      case "changed":
        this.changed(data);
        return;
      case "happened":
        this.happened(data);
    }
  }

  // snapshot is what a stream would begin with, for another tab.
  snapshot(): [string, unknown][] {
    return [
      ["hello", { ...this.hello.value, time: new Date(this.now()).toISOString() }],
      ["cluster", { registry: this.registry, components: [...this.components.values()] }],
      ["happened", this.happenings],
    ];
  }

  // now is the server's time: ages are reckoned by that, whatever this browser's clock is.
  now(): number {
    return Date.now() + this.ahead;
  }

  pause(on: boolean): void {
    this.paused.value = on;
    if (!on) this.flush();
  }

  // flush shows what is known.
  flush(): void {
    this.scheduled = false;
    if (this.paused.value) {
      this.waiting.value = this.changes;
      return;
    }
    this.changes = 0;
    this.waiting.value = 0;
    this.shown.value = { registry: this.registry, components: new Map(this.components), happenings: this.happenings };
  }

  private dirty(changes: number): void {
    this.changes += changes;
    if (this.scheduled) return;
    this.scheduled = true;
    this.schedule(() => this.flush());
  }

  private cluster(data: unknown): void {
    if (!isFields(data)) return;
    this.registry = registry(data["registry"]) ?? this.registry;
    const list = Array.isArray(data["components"]) ? data["components"] : [];
    const next = new Map<string, Component>();
    // A server that has just started, and does not reach its registry, knows less than we
    // do: what was last known of other machines stays.
    if (this.registry.state === "away") {
      for (const [key, c] of this.components) if (!c.local) next.set(key, c);
    }
    for (const raw of list) {
      const c = component(raw);
      if (c) next.set(c.key, same(this.components.get(c.key), c));
    }
    this.components = next;
    this.first = true;
    this.whole.value = true;
    this.dirty(1);
  }

  private changed(data: unknown): void {
    if (!isFields(data)) return;
    let changes = 0;
    const now = registry(data["registry"]);
    if (now) {
      this.registry = now;
      changes++;
    }
    for (const raw of Array.isArray(data["upsert"]) ? data["upsert"] : []) {
      const c = component(raw);
      if (!c) continue;
      const old = this.components.get(c.key);
      const next = same(old, c);
      if (next === old) continue;
      this.components.set(c.key, next);
      changes++;
    }
    for (const key of Array.isArray(data["remove"]) ? data["remove"] : []) {
      if (this.components.delete(key)) changes++;
    }
    if (changes > 0) this.dirty(changes);
  }

  private happened(data: unknown): void {
    if (!Array.isArray(data)) return;
    const news = data.flatMap((h) => happening(h) ?? []);
    const merged = merge(news, this.happenings);
    if (!this.first && news.length > 0) this.announce(news);
    this.first = false;
    if (merged === this.happenings) return;
    this.happenings = merged;
    this.dirty(news.length);
  }
}

// same is old if next says nothing else, so that nothing is redrawn for it.
function same(old: Component | undefined, next: Component): Component {
  return old && JSON.stringify(old) === JSON.stringify(next) ? old : next;
}

// merge puts news before what is known, newest first, each once.
export function merge(news: readonly Happening[], known: Happening[]): Happening[] {
  const name = (h: Happening) => `${h.time} ${h.key} ${h.what} ${h.text}`;
  const have = new Set(known.map(name));
  const fresh = news.filter((h) => !have.has(name(h)));
  if (fresh.length === 0) return known;
  return [...fresh, ...known]
    .map((h, i) => ({ h, i, t: when(h.time) ?? 0 }))
    .sort((a, b) => b.t - a.t || a.i - b.i)
    .slice(0, keptHappenings)
    .map((x) => x.h);
}

// nextFrame is the next redraw; a tab in the background has none, and is content with
// less. Whichever comes first counts.
function nextFrame(flush: () => void): void {
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    flush();
  };
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, 250);
}

export const store = new Store();
export const components = computed(() => store.shown.value.components);
export const registryState = computed(() => store.shown.value.registry);
export const queen = computed(() => [...components.value.values()].find((c) => c.kind === "queen" && c.status !== "offline"));

// now ticks every second while somebody looks.
export const now = signal(store.now());
export function tick(): void {
  if (!document.hidden) now.value = store.now();
}
