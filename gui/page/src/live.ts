// The stream of the cluster, shared by all tabs: a browser has six connections to a
// server, over all of them. One tab has the stream, and tells the others over a channel.
// Who that is is settled by a lock: when its tab closes, the lock goes to the next, which
// opens its own stream. Where a page has no locks, the tabs elect one.
//
// A leader that is frozen holds its lock and says nothing: a tab that somebody looks at
// and that has heard nothing for a while takes the lock away.

import { signal } from "@preact/signals";
import { Election, type Word } from "./election.ts";
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
  | Word
  | { is: "ask"; from: string }
  | { is: "whole"; from: string; to: string; events: [string, unknown][]; connection: Connection }
  | { is: "event"; from: string; event: string; data: string }
  | { is: "connection"; from: string; connection: Connection }
  | { is: "alive"; from: string }
  | { is: "left"; from: string } // who may have been the one with the stream
  | { is: "jobs"; from: string };

// others hears of what another tab began, see jobs.ts.
export const others = { jobs: () => {} };

const me = Math.random().toString(36).slice(2);
let channel: BroadcastChannel | undefined;

function tell(note: Note): void {
  channel?.postMessage(note);
}

export function tellJobs(): void {
  tell({ is: "jobs", from: me });
}

// Chair settles who leads.
interface Chair {
  join(): void;
  leave(): void; // for good, or until join
  alive(): void; // we lead, and something has come
  hear(note: Note): boolean; // whether that was all that it is about
  follows(from: string): boolean;
  silent(ms: number): boolean; // the leader has been, for so long; whether we take its place
}

export function startLive(store: Store): void {
  if (!("BroadcastChannel" in globalThis)) {
    void lead(store, new AbortController().signal, () => {}); // a stream for each tab
    return;
  }
  channel = new BroadcastChannel(name);
  let whole = false; // whether a follower has had everything once
  let heard = Date.now();
  const ask = () => {
    whole = false;
    tell({ is: "ask", from: me });
  };
  const chair = "locks" in navigator ? new Locks(store) : new Elected(store, () => (whole = false));
  channel.onmessage = ({ data }: MessageEvent<Note>) => {
    if (data.is === "jobs") return others.jobs();
    if (chair.hear(data)) return;
    if (leading.value) {
      if (data.is === "ask" && store.whole.value) {
        tell({ is: "whole", from: me, to: data.from, events: store.snapshot(), connection: connection.value });
      }
      return;
    }
    if (data.is === "ask" || !chair.follows(data.from)) return;
    heard = Date.now();
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
      case "leads":
        if (!whole) ask();
    }
  };
  ask();
  chair.join();
  const look = () => {
    const taken = chair.silent(Date.now() - heard);
    if (leading.value || taken) heard = Date.now();
  };
  setInterval(look, 1_000);
  document.addEventListener("visibilitychange", look);
  // A page that is left may be kept, frozen, for the way back: it neither leads then, nor
  // is it in line for it.
  addEventListener("pagehide", () => chair.leave());
  addEventListener("pageshow", (e) => {
    if (!e.persisted) return;
    heard = Date.now();
    ask();
    chair.join();
  });
}

// Locks: who holds the lock leads, the others are in line for it.
class Locks implements Chair {
  private turn = new AbortController(); // aborting it gives up the lock, or the place in line
  private heard = 0; // ms, when there last was a word

  constructor(private readonly store: Store) {}

  join(): void {
    void this.queue(false);
  }

  // It may be given the lock in the very moment in which it leaves, and keep it all the
  // same; so the others ask whether anybody leads.
  leave(): void {
    tell({ is: "left", from: me });
    this.turn.abort();
  }

  alive(): void {
    tell({ is: "alive", from: me });
  }

  hear(note: Note): boolean {
    if (note.is !== "left") {
      if (note.is !== "ask") this.heard = Date.now();
      return false;
    }
    const asked = Date.now();
    if (leading.value) this.alive();
    else setTimeout(() => this.heard < asked && this.take(), 500 + 500 * Math.random());
    return true;
  }

  follows(): boolean {
    return true;
  }

  silent(ms: number): boolean {
    return ms >= silence && this.take();
  }

  private take(): boolean {
    if (leading.value || document.hidden) return false;
    this.turn.abort();
    void this.queue(true);
    return true;
  }

  // queue waits for the lock, or steals it, and leads for as long as it is ours.
  private async queue(steal: boolean): Promise<void> {
    const stop = (this.turn = new AbortController());
    try {
      await navigator.locks.request(name, steal ? { steal } : { signal: stop.signal }, async () => {
        leading.value = true;
        await lead(this.store, stop.signal, () => this.alive());
      });
    } catch {
      // It was stolen: another tab leads; or it is given up.
    }
    if (stop === this.turn) leading.value = false;
    if (stop.signal.aborted) return;
    stop.abort();
    void this.queue(false); // in line again
  }
}

// Elected: the tabs settle it among themselves.
class Elected implements Chair {
  private turn: AbortController | undefined;
  private readonly election: Election;

  // Another leader's whole is another one, of which changed tells.
  constructor(store: Store, changed: () => void) {
    this.election = new Election(me, tell, () => {
      this.turn?.abort();
      this.turn = undefined;
      leading.value = this.election.leading;
      changed();
      if (!leading.value) return;
      this.turn = new AbortController();
      void lead(store, this.turn.signal, () => this.alive());
    });
    // A tab that is to be frozen can say so, and one that thaws asks who leads now.
    document.addEventListener("freeze", () => this.leave());
    document.addEventListener("resume", () => this.join());
  }

  join(): void {
    this.election.join();
  }

  leave(): void {
    this.election.leave();
  }

  alive(): void {
    this.election.look();
  }

  hear(note: Note): boolean {
    if (note.is !== "claim" && note.is !== "leads" && note.is !== "leaves") return false;
    this.election.hear(note);
    return note.is !== "leads" || leading.value;
  }

  follows(from: string): boolean {
    return this.election.leader?.from === from;
  }

  silent(): boolean {
    this.election.look();
    return false;
  }
}

// lead has the stream until the signal aborts. It calls alive whenever something comes.
async function lead(store: Store, signal: AbortSignal, alive: () => void): Promise<void> {
  const set = (c: Connection) => {
    connection.value = c;
    tell({ is: "connection", from: me, connection: c });
  };
  while (!signal.aborted) {
    try {
      await follow({
        url: "/api/stream",
        signal,
        opened: () => set({ state: "live" }),
        alive,
        lost: (why, wait) => set({ state: "lost", why, retryAt: Date.now() + wait }),
        each: (m) => {
          if (m.event === "bye") return;
          store.take(m.event, json(m.data));
          tell({ is: "event", from: me, event: m.event, data: m.data });
        },
      });
    } catch (err) {
      // Refused for good, which is not for ever: the program may be replaced.
      set({ state: "lost", why: say(err), refused: err instanceof Problem ? err.status : undefined, retryAt: Date.now() + 10_000 });
      await pause(10_000, signal);
    }
  }
}
