// Server-sent events over fetch: unlike EventSource it tells why a stream was refused,
// can post, and lets us judge a silence.

import { noAnswer, Problem, problemOf, say } from "./http.ts";

export interface Message {
  event: string; // "message" where the server gave no name
  data: string;
  id: string;
}

// Parser takes text in pieces, cut anywhere, and gives the events that are complete.
export class Parser {
  private rest = "";
  private event = "";
  private data: string[] = [];
  private id = "";

  push(piece: string): Message[] {
    const found: Message[] = [];
    let text = this.rest + piece;
    // A CR at the end may be half of a CRLF: wait for what follows.
    let held = "";
    if (text.endsWith("\r")) {
      held = "\r";
      text = text.slice(0, -1);
    }
    const lines = text.split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? "") + held;
    for (const line of lines) {
      const m = this.line(line);
      if (m) found.push(m);
    }
    return found;
  }

  private line(line: string): Message | undefined {
    if (line === "") {
      const m = this.data.length > 0 ? { event: this.event || "message", data: this.data.join("\n"), id: this.id } : undefined;
      this.event = "";
      this.data = [];
      return m;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return undefined; // a comment
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.data.push(value);
    else if (name === "event") this.event = value;
    else if (name === "id" && !value.includes("\0")) this.id = value;
    return undefined;
  }
}

// read gives every event of a body until its end. It calls alive for every piece.
export async function read(body: ReadableStream<Uint8Array>, each: (m: Message) => void, alive?: () => void): Promise<void> {
  const parser = new Parser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive?.();
    for (const m of parser.push(decoder.decode(value, { stream: true }))) each(m);
  }
}

export interface Follow {
  url: string;
  signal: AbortSignal;
  each: (m: Message) => "end" | void; // "end": that was the last one
  opened?: () => void;
  alive?: () => void; // something came, be it a comment
  lost?: (why: string, waitMs: number) => void;
  silenceMs?: number; // how long nothing at all may come; 45 s
}

// follow reads a stream, and again when it breaks, until it has ended or the signal
// aborts. It throws the Problem of a server that refuses for good.
export async function follow(f: Follow): Promise<void> {
  let failures = 0;
  while (!f.signal.aborted) {
    let why: string;
    try {
      if (await once(f, () => (failures = 0))) return;
      why = "the stream has ended";
    } catch (err) {
      if (f.signal.aborted) return;
      if (err instanceof Problem && err.final) throw err;
      why = say(err);
    }
    const wait = backoff(++failures);
    f.lost?.(why, wait);
    await pause(wait, f.signal);
  }
}

// backoff is how long to wait after so many failures, in ms.
export function backoff(failures: number): number {
  return Math.min(10_000, 250 * 2 ** Math.min(failures, 6)) * (0.75 + Math.random() / 2);
}

export interface Poll {
  signal: AbortSignal;
  every: number; // ms
  ask: () => Promise<"end" | void>; // "end": that was the last time
  lost?: (why: string) => void;
}

// poll asks again and again until it is told that there is no more, or the signal aborts.
// It throws the Problem of a server that refuses for good.
export async function poll(p: Poll): Promise<void> {
  let failures = 0;
  while (!p.signal.aborted) {
    try {
      if ((await p.ask()) === "end") return;
      failures = 0;
    } catch (err) {
      if (p.signal.aborted) return;
      if (err instanceof Problem && err.final) throw err;
      failures++;
      p.lost?.(say(err));
    }
    await pause(failures ? backoff(failures) : p.every, p.signal);
  }
}

// gather is all that a stream has to say that ends at once, or with an event called last.
export async function gather(url: string, signal: AbortSignal, last?: string): Promise<Message[]> {
  const all: Message[] = [];
  const each = (m: Message) => (all.push(m), m.event === last ? "end" : undefined);
  await once({ url, signal, each, silenceMs: 10_000 }, () => {});
  signal.throwIfAborted();
  return all;
}

// once reads one connection to its end, and reports whether the stream is over.
async function once(f: Follow, good: () => void): Promise<boolean> {
  const attempt = new AbortController();
  const stop = () => attempt.abort();
  f.signal.addEventListener("abort", stop);
  let silent: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(silent);
    silent = setTimeout(() => attempt.abort(new Error("nothing came for a while")), f.silenceMs ?? 45_000);
  };
  let over = false;
  try {
    heard();
    const answer = await fetch(f.url, { headers: { Accept: "text/event-stream" }, signal: attempt.signal, cache: "no-store" }).catch(plainly(noAnswer));
    if (!answer.ok || !answer.body) throw await problemOf(answer);
    f.opened?.();
    await read(
      answer.body,
      (m) => {
        if (over || f.signal.aborted) return;
        good();
        if (f.each(m) === "end") {
          over = true;
          attempt.abort();
        }
      },
      () => {
        heard();
        f.alive?.();
      },
    );
  } catch (err) {
    if (!over) plainly("the connection broke")(err);
  } finally {
    clearTimeout(silent);
    f.signal.removeEventListener("abort", stop);
    attempt.abort();
  }
  return over;
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal?.aborted) return done();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

// plainly says in our words what a browser has none of its own for.
export function plainly(what: string): (err: unknown) => never {
  return (err) => {
    throw err instanceof TypeError ? new Problem(what) : err;
  };
}
