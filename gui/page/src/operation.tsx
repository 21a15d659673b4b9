// One spawn, from the request to the worker or the reason why there is none.

import { useRef } from "preact/hooks";
import { parse, type Style } from "./ansi.ts";
import { bytes, clock, day, modelName, seconds, when } from "./format.ts";
import { cancel, fraction, steps, whatBecame, type Job } from "./jobs.ts";
import { connection } from "./live.ts";
import { Ago, Bar, Button, Shape, Status } from "./parts.tsx";
import { go, link } from "./router.ts";
import { operationTone } from "./status.ts";
import { components, now, registryState, store } from "./store.ts";
import type { Component } from "./wire.ts";

const words: Record<string, string> = { running: "starting", succeeded: "started", failed: "failed" };

function where(job: Job): string {
  if (job.base === store.hello.value.here) return "on this machine";
  return job.op.hive_id ? `on ${job.op.hive_id}` : "";
}

// unregistered is why a worker that is there is in no registry.
function unregistered(): string {
  const state = registryState.value.state;
  return state === "none" ? "no registry" : state === "away" ? "registry offline" : "not yet";
}

export function OperationCard({ job, again }: { job: Job; again: (job: Job) => void }) {
  const { op } = job;
  const running = op.status === "running";
  const stopped = op.error?.stopped === true;
  const began = when(op.started_at);
  const ended = running ? now.value : when(op.ended_at);
  // Of one that has failed, the id is another's now.
  const found = op.worker_id && op.status === "succeeded" ? components.value.get(`worker/${op.worker_id}`) : undefined;
  const became = useBecame(job, found);
  const worker = became === "there" ? found : undefined;
  const tone = became === "there" ? operationTone(op) : "off";
  const once = stopped ? "Start again" : op.status === "failed" ? "Try again" : "Another";
  const name = op.worker_id ?? `${op.request.worker_type ?? "worker"}`;
  return (
    <article class={`operation card ${tone}`} aria-label={`Start of ${name}`} data-testid="operation" data-key={job.key} data-status={op.status}>
      <header>
        <Status tone={tone} word={became !== "there" ? "ended" : stopped ? "stopped" : (words[op.status] ?? op.status)} />
        <h3>{op.worker_id && became === "there" ? <a href={link("worker", op.worker_id)}>{op.worker_id}</a> : name}</h3>
        <span class="quiet">
          {[op.request.engine, op.request.model && modelName(op.request.model), where(job)].filter(Boolean).join(" · ")}
        </span>
        <span class="times">
          {!running && began !== undefined && (
            <time class="quiet" dateTime={op.started_at} title={`Begun ${day(op.started_at)} ${clock(op.started_at)}`.replace(/ +/g, " ")} data-testid="operation-ago">
              <Ago time={op.started_at} /> ago
            </time>
          )}
          {began !== undefined && ended !== undefined && (
            <span>
              {running ? "" : "took "}
              <span data-testid="operation-seconds">{seconds(ended - began)}</span>
            </span>
          )}
        </span>
      </header>
      <ol class="steps" data-testid="spawn-progress">
        {steps(job, !!worker?.registered_at, worker ? unregistered() : "").map((s) => (
          <li key={s.name} class={s.state}>
            <Shape tone={s.state === "done" ? "good" : s.state === "now" ? "busy" : s.state === "failed" ? "bad" : "off"} />
            <span>
              {s.name}
              <span class="unseen"> {s.state === "now" ? "in progress" : s.state}</span>
            </span>
            <span class="quiet">{s.note}</span>
          </li>
        ))}
      </ol>
      {running && <Progress job={job} />}
      {op.why && <p class="quiet">{op.why}</p>}
      {op.error && <Failure job={job} />}
      {became !== "there" && (
        <p class="quiet" data-testid="operation-ended">
          {name} has ended since{became === "other" ? ", and another instance has its id" : ""}.
        </p>
      )}
      <div class="buttons">
        {running && (
          <Button act={() => void cancel(job)} why={job.cancelling ? "It is being cancelled." : undefined} kind="danger" label={`${job.cancelling ? "Cancelling" : "Cancel"} the start of ${name}`} test="cancel">
            {job.cancelling ? "Cancelling" : "Cancel"}
          </Button>
        )}
        {op.status === "succeeded" && op.worker_id && became === "there" && (
          <>
            <Button act={() => go(link("talk", op.worker_id))} kind="main" label={`Talk to ${name}`} test="operation-talk">
              Talk
            </Button>
            <Button act={() => go(link("worker", op.worker_id))} label={`Show ${name}`} test="operation-show">
              Show
            </Button>
          </>
        )}
        {!running && (
          <Button act={() => again(job)} test="again" label={`${once}: fill in the form as for ${name}`}>
            {once}
          </Button>
        )}
      </div>
    </article>
  );
}

// useBecame is what became of the worker of a start, of which only one that has succeeded
// has one.
function useBecame({ op, base }: Job, c: Component | undefined): ReturnType<typeof whatBecame> {
  const seen = useRef(false);
  if (op.status !== "succeeded") return "there";
  const became = whatBecame(op, c, seen.current, now.value - (when(op.ended_at) ?? 0));
  if (c && became === "there") seen.current = true;
  // Without a registry that tells of it, only this machine's are known to be gone.
  const told = store.whole.value && (registryState.value.state === "connected" || base === store.hello.value.here);
  return c || told ? became : "there";
}

function Progress({ job }: { job: Job }) {
  const p = job.progress;
  const part = fraction(p);
  const seen = p?.seen;
  const line = seen?.last_line && parse(seen.last_line, {}).map((s) => s.text).join("");
  const tried = job.events.findLast((e) => e.event === "exited" || e.event === "restarting");
  return (
    <div class="progress">
      <Bar value={part} label="Loading" tone="busy" />
      <p class="quiet numbers">
        {[
          part !== undefined && `${Math.round(part * 100)} % of ${bytes(p?.model_bytes)}`,
          seen?.rss_bytes !== undefined && `memory ${bytes(seen.rss_bytes)}`,
          seen?.cpu_ns !== undefined && `processor ${seconds(seen.cpu_ns / 1e6)}`,
          seen?.status,
        ]
          .filter(Boolean)
          .join(" · ") || "waiting for the first sign of life"}
      </p>
      {seen?.waiting && (
        <p class="quiet" title={seen.waiting} data-testid="waiting">
          {/connection refused/.test(seen.waiting) ? "It does not answer yet." : "It is not ready yet."}
        </p>
      )}
      {line && (
        <p class="last-line" data-testid="last-line" title={line}>
          {line}
        </p>
      )}
      {tried && <p class="quiet">{tried.error ? `An attempt ended: ${tried.error}` : `${tried.event}`}</p>}
      {job.lost && connection.value.state !== "lost" && (
        <p class="warn-text" role="status">
          What it does is not known at the moment ({job.lost}); trying again.
        </p>
      )}
    </div>
  );
}

function Failure({ job }: { job: Job }) {
  const e = job.op.error;
  const lines = e?.last_lines ?? [];
  return (
    <div class="failure">
      <p class={e?.stopped ? "quiet" : "bad-text"} data-testid="failure-reason">
        {e?.detail ?? "It has failed, and nobody said why."}
        {e?.exit_code !== undefined && !e.detail?.includes(String(e.exit_code)) ? ` (exit code ${e.exit_code})` : ""}
      </p>
      {lines.length > 0 && (
        <>
          <p class="quiet">The last it printed:</p>
          <pre class="last-lines" data-testid="failure-lines" tabIndex={0} aria-label="The last lines it printed">
            <Coloured lines={lines} />
          </pre>
        </>
      )}
    </div>
  );
}

// Coloured are lines as a terminal, or the log, has them.
function Coloured({ lines }: { lines: readonly string[] }) {
  const style: Style = {};
  return (
    <>
      {lines.map((line, i) => [
        i > 0 && "\n",
        ...parse(line, style).map((s) => (s.classes ? <span class={s.classes}>{s.text}</span> : s.text)),
      ])}
    </>
  );
}
