// What can be done to a component: stop, restart, start another like it.

import { signal } from "@preact/signals";
import { modelName, plural } from "./format.ts";
import { say, send } from "./http.ts";
import { Button, notify, question } from "./parts.tsx";
import { go, link } from "./router.ts";
import { mayAct, whyNot } from "./status.ts";
import type { Component } from "./wire.ts";

// doing is what has been asked for and not been answered, by key.
export const doing = signal<ReadonlyMap<string, string>>(new Map());

function mark(key: string, what: string | undefined): void {
  const next = new Map(doing.value);
  if (what === undefined) next.delete(key);
  else next.set(key, what);
  doing.value = next;
}

async function run(c: Component, what: "stop" | "restart"): Promise<void> {
  const path = `${c.acts}/v1/hive/workers/${encodeURIComponent(c.id)}`;
  mark(c.key, what === "stop" ? "stopping" : "restarting");
  try {
    if (what === "stop") await send("DELETE", path);
    else await send("POST", `${path}/restart`);
    notify(what === "stop" ? `${c.id} has stopped; nothing of it is left.` : `${c.id} has been restarted.`, "good");
  } catch (err) {
    notify(`${what} ${c.id}: ${say(err)}`, "bad");
  } finally {
    mark(c.key, undefined);
  }
}

function describe(c: Component): string {
  const what = [c.model && modelName(c.model), c.engine].filter(Boolean).join(", ");
  const where = c.hostname ? ` on ${c.hostname}` : "";
  return `${c.id.startsWith(c.kind) ? "" : `${c.kind} `}${c.id}${where}${what ? ` (${what})` : ""}`;
}

export function askStop(list: readonly Component[]): void {
  const [c] = list;
  if (!c) return;
  const one = list.length === 1;
  question.value = {
    title: one ? `Stop ${c.id}?` : `Stop ${plural(list.length, "component")}?`,
    body: one ? (
      <p>{describe(c)} ends, with whatever it is answering now.</p>
    ) : (
      <>
        <p>These end, with whatever they are answering now:</p>
        <ul class="names">
          {list.map((x) => (
            <li key={x.key}>{describe(x)}</li>
          ))}
        </ul>
      </>
    ),
    yes: one ? `Stop ${c.id}` : `Stop these ${list.length}`,
    act: () => void all(list),
  };
}

// all stops a few at a time: each may take its whole grace period.
async function all(list: readonly Component[]): Promise<void> {
  const rest = [...list];
  const one = async () => {
    for (let c = rest.shift(); c; c = rest.shift()) await run(c, "stop");
  };
  await Promise.all([one(), one(), one()]);
}

export function askRestart(c: Component): void {
  question.value = {
    title: `Restart ${c.id}?`,
    body: <p>{describe(c)} is stopped, with whatever it is answering now, and started again.</p>,
    yes: `Restart ${c.id}`,
    act: () => void run(c, "restart"),
  };
}

// commandable is whether there is anything that a row could offer. That a worker can't be
// stopped from here has a reason to be told; nobody asks why a registry can't.
function commandable(c: Component): boolean {
  return c.kind === "worker" || mayAct(c);
}

export function Actions({ c, talk, row }: { c: Component; talk?: boolean; row?: boolean }) {
  if (row && !commandable(c)) return null;
  const busy = doing.value.get(c.key);
  const why = busy ? `It is ${busy}.` : mayAct(c) ? undefined : whyNot(c);
  return (
    <div class="buttons" data-testid="actions">
      {talk && c.kind === "worker" && !c.gone && (
        <Button act={() => go(link("talk", c.id))} label={`Talk to ${c.id}`} test="talk">
          Talk
        </Button>
      )}
      {c.kind === "worker" && (
        <Button act={() => go(link("spawn", "", { like: c.key }))} label={`Another like ${c.id}`} test="another">
          Another
        </Button>
      )}
      <Button act={() => askRestart(c)} why={why} label={`Restart ${c.id}`} test="restart">
        Restart
      </Button>
      <Button act={() => askStop([c])} why={why} label={`${busy === "stopping" ? "Stopping" : "Stop"} ${c.id}`} kind="danger" test="stop">
        {busy === "stopping" ? "Stopping" : "Stop"}
      </Button>
    </div>
  );
}
