// The stream of the cluster, shared by all tabs: a browser has six connections to a
// server, over all of them. One tab holds a lock and the stream, and tells the others
// over a channel. When it closes, the lock goes to the next, which opens its own stream.
//
// A leader that is frozen holds its lock and says nothing: a tab that somebody looks at
// and that has heard nothing for a while takes the lock away.

import { signal } from "@preact/signals";
import { Problem, say } from "./http.ts";
import { follow, pause } from "./sse.ts";
import type { Store } from "./store.ts";
import { json } from "./wire.ts";

export interface Connection {
  state: "connecting" | "live" | "lost";
  why?: string;
  refused?: number; // the status of an answer that there is nothing for us
  retryAt?: number; // ms
}

export const connection = signal<Connection>({ state: "connecting" });
export const leading = signal(false);

const name = "rbee-gui-stream";
const silence = 40_000; // the server says something every 15 s

type Note =
  | { is: "ask"; from: string }
  | { is: "whole"; to: string; events: [string, unknown][]; connection: Connection }
  | { is: "event"; event: string; data: string }
  | { is: "connection"; connection: Connection }
  | { is: "alive" }
  | { is: "left" } // who may have been the one with the stream
  | { is: "jobs" };

// others hears of what another tab began, see jobs.ts.
export const others = { jobs: () => {} };

const me = Math.random().toString(36).slice(2);
let channel: BroadcastChannel | undefined;

function tell(note: Note): void {
  channel?.postMessage(note);
}

export function tellJobs(): void {
  tell({ is: "jobs" });
}

export function startLive(store: Store): void {
  if (!("locks" in navigator) || !("BroadcastChannel" in globalThis)) {
    void lead(store, new AbortController().signal); // not a secure context: a stream for each tab
    return;
  }
  channel = new BroadcastChannel(name);
  let whole = false; // whether a follower has had everything once
  let heard = Date.now();
  channel.onmessage = ({ data }: MessageEvent<Note>) => {
    if (data.is === "jobs") return others.jobs();
    if (data.is === "left") return left();
    if (leading.value) {
      if (data.is === "ask" && store.whole.value) {
        tell({ is: "whole", to: data.from, events: store.snapshot(), connection: connection.value });
      }
      return;
    }
    if (data.is !== "ask") heard = Date.now();
    switch (data.is) {
      case "whole":
        if (data.to !== me) return;
        whole = true;
        connection.value = data.connection;
        for (const [event, body] of data.events) store.take(event, body);
        return;
      case "event":
        if (data.event === "cluster") whole = true;
        if (whole || data.event === "hello") store.take(data.event, json(data.data));
        return;
      case "connection":
        connection.value = data.connection;
        return;
      case "alive":
        if (!whole) tell({ is: "ask", from: me });
    }
  };
  tell({ is: "ask", from: me });
  void queue(store, false);
  const take = () => {
    if (leading.value || document.hidden) return;
    heard = Date.now();
    turn.abort();
    void queue(store, true);
  };
  const look = () => {
    if (Date.now() - heard >= silence) take();
  };
  setInterval(look, 5_000);
  document.addEventListener("visibilitychange", look);
  // A page that is left may be kept, frozen, for the way back: neither with the lock nor
  // in line for it. It may be given the lock in that very moment, and keep it all the same;
  // so the others ask whether anybody leads.
  addEventListener("pagehide", () => {
    tell({ is: "left" });
    turn.abort();
  });
  const left = () => {
    if (leading.value) return tell({ is: "alive" });
    const asked = Date.now();
    setTimeout(() => heard < asked && take(), 500 + 500 * Math.random());
  };
  addEventListener("pageshow", (e) => {
    if (!e.persisted) return;
    whole = false;
    heard = Date.now();
    tell({ is: "ask", from: me });
    void queue(store, false);
  });
}

let turn = new AbortController(); // aborting it gives up the lock, or the place in line

// queue waits for the lock, or steals it, and leads for as long as it is ours.
async function queue(store: Store, steal: boolean): Promise<void> {
  const stop = (turn = new AbortController());
  try {
    await navigator.locks.request(name, steal ? { steal } : { signal: stop.signal }, async () => {
      leading.value = true;
      await lead(store, stop.signal);
    });
  } catch {
    // It was stolen: another tab leads; or it is given up.
  }
  if (stop === turn) leading.value = false;
  if (stop.signal.aborted) return;
  stop.abort();
  void queue(store, false); // in line again
}

async function lead(store: Store, signal: AbortSignal): Promise<void> {
  const set = (c: Connection) => {
    connection.value = c;
    tell({ is: "connection", connection: c });
  };
  while (!signal.aborted) {
    try {
      await follow({
        url: "/api/stream",
        signal,
        opened: () => set({ state: "live" }),
        alive: () => tell({ is: "alive" }),
        lost: (why, wait) => set({ state: "lost", why, retryAt: Date.now() + wait }),
        each: (m) => {
          if (m.event === "bye") return;
          store.take(m.event, json(m.data));
          tell({ is: "event", event: m.event, data: m.data });
        },
      });
    } catch (err) {
      // Refused for good, which is not for ever: the program may be replaced.
      set({ state: "lost", why: say(err), refused: err instanceof Problem ? err.status : undefined, retryAt: Date.now() + 10_000 });
      await pause(10_000, signal);
    }
  }
}
