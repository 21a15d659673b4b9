// The conversations, one for each place: a worker, or through the queen a model. What was
// said in one is sent nowhere else. They are kept for as long as the tab is open, over a
// reload, too.

import { batch, signal } from "@preact/signals";
import { Answer, converse, type Said, type Stats } from "./chat.ts";
import { Following } from "./follow.ts";
import { say } from "./http.ts";
import { announced } from "./parts.tsx";
import { link, type Route } from "./router.ts";
import { isFields, json, text, type Component } from "./wire.ts";

export interface Place {
  queen: boolean;
  name: string; // the worker's id, or the model's; "" is not chosen yet
}

export interface Turn extends Said {
  n: number;
  thinking?: string;
  stats?: Stats;
  problem?: string;
  by?: string;
  stopped?: boolean;
  ended?: string; // why, in the protocol's word
  anew?: string; // what is told before it: nothing that stands above is sent
}

// Who is who answers at a place. A worker's id goes on to the next one at its port.
export type Who = Pick<Component, "instance_id" | "hostname" | "model">;

// placeOf is where an address leads, undefined where it leaves that open.
export function placeOf(r: Pick<Route, "id" | "query">): Place | undefined {
  const via = r.query.get("via");
  if (via === "queen") return { queen: true, name: r.query.get("model") ?? "" };
  return r.id === "" && via === null ? undefined : { queen: false, name: r.id };
}

export function placeLink(p: Place): string {
  return p.queen ? link("talk", "", { via: "queen", model: p.name }) : link("talk", p.name, p.name ? {} : { via: "straight" });
}

// another is whether somebody else answers now. One that was started again as it was is
// the same.
export function another(then: Who | undefined, now: Who | undefined): boolean {
  if (!then || !now || (then.instance_id !== undefined && then.instance_id === now.instance_id)) return false;
  const differs = (a?: string, b?: string) => a !== undefined && b !== undefined && a !== b;
  return differs(then.hostname, now.hostname) || differs(then.model, now.model);
}

// history is what is sent along with what is said next. What was not answered is not told
// again: many models take turns, strictly.
export function history(turns: readonly Turn[]): Said[] {
  return turns
    .slice(Math.max(0, turns.findLastIndex((t) => t.anew !== undefined)))
    .filter((t, i, all) => (t.role === "user" ? all[i + 1]?.content : t.content))
    .map(({ role, content }) => ({ role, content }));
}

export class Conversation {
  readonly turns = signal<readonly Turn[]>([]);
  readonly cleared = signal<readonly Turn[]>([]); // what clear took away, until the next message, or a reload
  readonly draft = signal("");
  readonly running = signal<AbortController | undefined>(undefined);
  readonly model = signal("");
  readonly system = signal("");
  readonly limit = signal("");
  readonly following = new Following();
  who: Who | undefined; // to whom the last of it was said
  private count = 0;

  constructor(kept: unknown = undefined) {
    if (!isFields(kept)) return;
    for (const name of ["draft", "model", "system", "limit"] as const) this[name].value = text(kept, name) ?? "";
    if (isFields(kept["who"])) this.who = kept["who"];
    const turns = Array.isArray(kept["turns"]) ? kept["turns"] : [];
    this.turns.value = turns.flatMap((t) => (isFields(t) && typeof t["content"] === "string" ? { ...(t as unknown as Turn), n: ++this.count } : []));
  }

  // kept is what is worth it, for the constructor.
  kept(): unknown {
    const [turns, draft, model, system, limit] = [this.turns.peek(), this.draft.peek(), this.model.peek(), this.system.peek(), this.limit.peek()];
    if (turns.length === 0 && !draft && !system && !limit) return undefined;
    const last = turns[turns.length - 1];
    const cut = this.running.peek() && last ? [{ ...last, problem: "the page was loaded again before the answer was whole" }] : [];
    return { turns: [...turns.slice(0, turns.length - cut.length), ...cut], draft, model, system, limit, who: this.who };
  }

  clear(): void {
    if (this.running.peek()) return;
    batch(() => {
      this.cleared.value = this.turns.value;
      this.turns.value = [];
    });
    keep();
  }

  undo(): void {
    if (this.turns.peek().length > 0) return;
    batch(() => {
      this.turns.value = this.cleared.value;
      this.cleared.value = [];
    });
    keep();
  }

  // send says the draft to whoever is at the base of an API, and follows the answer.
  async send(to: { base: string; by: string; model: string; who?: Who; anew?: string }): Promise<void> {
    const content = this.draft.value.trim();
    if (content === "" || this.running.value) return;
    const stop = new AbortController();
    const mine: Turn = { n: ++this.count, role: "user", content, anew: to.anew };
    let turn: Turn = { n: ++this.count, role: "assistant", content: "", by: to.by };
    const messages: Said[] = [...(to.anew === undefined ? history(this.turns.value) : []), { role: "user", content }];
    if (this.system.value.trim()) messages.unshift({ role: "system", content: this.system.value.trim() });
    const body: Record<string, unknown> = { messages };
    if (to.model) body["model"] = to.model;
    if (this.limit.value) body["max_tokens"] = Number(this.limit.value);
    this.following.on = true; // one wants to see what one says, and what comes of it
    this.who = to.who;
    batch(() => {
      this.draft.value = "";
      this.running.value = stop;
      this.cleared.value = [];
      this.turns.value = [...this.turns.value, mine, turn];
    });
    keep();

    const answer = new Answer(performance.now());
    let frame = 0;
    const show = (more: Partial<Turn> = {}) => {
      cancelAnimationFrame(frame);
      frame = 0;
      const old = turn;
      turn = { ...turn, content: answer.content, thinking: answer.thinking || undefined, stats: answer.stats(), ended: answer.finish, ...more };
      this.turns.value = this.turns.value.map((t) => (t === old ? turn : t));
    };
    let end: Partial<Turn> = {};
    try {
      await converse(`${to.base}/v1/chat/completions`, body, stop.signal, answer, () => (frame ||= requestAnimationFrame(() => show())));
      announced.value = `${to.by} has answered: ${answer.content.slice(0, 300)}`;
    } catch (err) {
      end = stop.signal.aborted ? { stopped: true } : { problem: say(err) };
    }
    batch(() => {
      this.running.value = undefined;
      show(end);
    });
    keep();
  }
}

// All of them by place, in the order in which they were opened.

const name = "rbee.talk";
const all = new Map<string, Conversation>();
export const lastPlace = signal<Place | undefined>(undefined);

const key = (p: Place) => `${p.queen ? "queen" : "worker"}/${p.name}`;

export function conversation(p: Place): Conversation {
  let c = all.get(key(p));
  if (!c) all.set(key(p), (c = new Conversation()));
  return c;
}

// openPlace makes it the one to come back to. What was written before it was known where
// to is written there.
export function openPlace(p: Place): void {
  const c = conversation(p);
  const before = all.get(key({ ...p, name: "" }));
  if (before && !c.draft.value) [c.draft.value, before.draft.value] = [before.draft.value, ""];
  all.delete(key(p));
  all.set(key(p), c);
  lastPlace.value = p;
}

// lastOf is where one talked last, that way.
export function lastOf(queen: boolean): Place {
  const way = queen ? "queen/" : "worker/";
  const last = [...all.keys()].findLast((k) => k.startsWith(way) && k !== way);
  return { queen, name: last?.slice(way.length) ?? "" };
}

function keep(): void {
  const talks = [...all].map(([k, c]) => [k, c.kept()]).filter(([, kept]) => kept !== undefined);
  try {
    sessionStorage.setItem(name, JSON.stringify({ talks, last: lastPlace.peek() }));
  } catch {
    // it is forgotten by a reload
  }
}

// restore brings back what there was before a reload, and keeps what there is before the
// next.
export function restore(): void {
  let old: unknown;
  try {
    old = json(sessionStorage.getItem(name) ?? "");
  } catch {
    // there is none
  }
  if (isFields(old)) {
    for (const pair of Array.isArray(old["talks"]) ? old["talks"] : []) {
      if (Array.isArray(pair) && typeof pair[0] === "string") all.set(pair[0], new Conversation(pair[1]));
    }
    const last = old["last"];
    if (isFields(last) && typeof last["name"] === "string") lastPlace.value = { queen: last["queen"] === true, name: last["name"] };
  }
  addEventListener("pagehide", keep);
}
