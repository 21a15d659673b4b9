// Requests to our own server, and what it says when it refuses.

import { isFields, json, number, text } from "./wire.ts";

// Problem is an answer that is none: the server's problem+json, or an error in OpenAI's
// shape, or just a status.
export class Problem extends Error {
  constructor(
    message: string,
    readonly status = 0,
    readonly code = "",
    readonly field = "",
  ) {
    super(message);
  }

  // final: asking again brings the same.
  get final(): boolean {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 425 && this.status !== 429;
  }
}

export const noAnswer = "rbee-gui does not answer";

export async function problemOf(answer: Response): Promise<Problem> {
  const body = json(await answer.text().catch(() => ""));
  const plain = `${answer.status} ${answer.statusText}`.trim();
  if (!isFields(body)) return new Problem(plain, answer.status);
  if (isFields(body["error"])) {
    const e = body["error"];
    return new Problem(text(e, "message") ?? plain, answer.status, text(e, "code") ?? text(e, "type") ?? "");
  }
  return new Problem(
    text(body, "detail") ?? text(body, "title") ?? plain,
    number(body, "status") ?? answer.status,
    text(body, "code") ?? "",
    text(body, "field") ?? "",
  );
}

export async function ask(path: string, signal?: AbortSignal): Promise<unknown> {
  return send("GET", path, undefined, signal);
}

export async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method, signal, cache: "no-store",
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new Problem(noAnswer);
  }
  if (!answer.ok) throw await problemOf(answer);
  const said = await answer.text();
  return said === "" ? undefined : json(said);
}

export function say(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}
