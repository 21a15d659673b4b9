// One answer of a model, as it comes: what it says, how fast, and whether it is whole.

import { problemOf } from "./http.ts";
import { read } from "./sse.ts";
import { isFields, json, number, text } from "./wire.ts";

export interface Stats {
  firstMs?: number; // from the request to the first token
  tokens: number;
  perSecond?: number; // of the tokens after the first, by our clock
  counted: boolean; // by the model, not by us
}

// Answer gathers a stream. Times are in ms, by any clock that goes forward.
export class Answer {
  content = "";
  thinking = "";
  finish: string | undefined;
  private pieces = 0;
  private first: number | undefined;
  private last: number | undefined;
  private usage: number | undefined;
  private done = false;

  constructor(private readonly began: number) {}

  // take applies the data of one event. It throws what the server says went wrong.
  take(data: string, at: number): void {
    if (data.trim() === "[DONE]") {
      this.done = true;
      return;
    }
    const o = json(data);
    if (!isFields(o)) return;
    if (o["error"] !== undefined && o["error"] !== null) {
      const e = o["error"];
      throw new Error(isFields(e) ? (text(e, "message") ?? "the model gave an error") : String(e));
    }
    if (isFields(o["usage"])) this.usage = number(o["usage"], "completion_tokens") ?? this.usage;
    const choice = Array.isArray(o["choices"]) ? o["choices"][0] : undefined;
    if (!isFields(choice)) return;
    this.finish = text(choice, "finish_reason") ?? this.finish;
    const delta = isFields(choice["delta"]) ? choice["delta"] : isFields(choice["message"]) ? choice["message"] : {};
    const said = text(delta, "content") ?? "";
    const thought = text(delta, "reasoning_content") ?? text(delta, "reasoning") ?? "";
    if (said === "" && thought === "") return;
    this.content += said;
    this.thinking += thought;
    this.pieces++;
    this.first ??= at;
    this.last = at;
  }

  // whole is whether the model came to an end; a stream that just stops was cut.
  get whole(): boolean {
    return this.done || this.finish !== undefined;
  }

  stats(): Stats {
    const tokens = this.usage ?? this.pieces;
    const span = this.first !== undefined && this.last !== undefined ? this.last - this.first : 0;
    return {
      tokens,
      counted: this.usage !== undefined,
      firstMs: this.first === undefined ? undefined : this.first - this.began,
      // What came in one burst has no rate.
      perSecond: tokens > 1 && span >= 20 ? ((tokens - 1) * 1000) / span : undefined,
    };
  }
}

export interface Said {
  role: "user" | "assistant" | "system";
  content: string;
}

const broken = "the answer was cut off: the connection broke";

// converse asks for an answer and calls grown as it grows. It throws when the server
// refuses, or the answer is cut.
export async function converse(url: string, body: Record<string, unknown>, signal: AbortSignal, answer: Answer, grown: () => void): Promise<void> {
  const plainly = (what: string) => (err: unknown) => {
    throw signal.aborted || !(err instanceof TypeError) ? err : new Error(what); // a browser's own words say nothing
  };
  const got = await fetch(url, {
    method: "POST", signal, cache: "no-store",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream, application/json" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
  }).catch(plainly("rbee-gui does not answer"));
  if (!got.ok || !got.body) throw await problemOf(got);
  if (!(got.headers.get("Content-Type") ?? "").includes("event-stream")) {
    answer.take(await got.text().catch(plainly(broken)), performance.now()); // all at once
    answer.take("[DONE]", performance.now());
    grown();
    return;
  }
  await read(got.body, (m) => {
    answer.take(m.data, performance.now());
    grown();
  }).catch(plainly(broken));
  if (!answer.whole) throw new Error("the answer was cut off: the stream ended before the model did");
}
