// One spawn, from the request to the worker or the reason why there is none.

import { bytes, modelName, seconds, when } from "./format.ts";
import { cancel, fraction, steps, type Job } from "./jobs.ts";
import { Bar, Button, Shape, Status } from "./parts.tsx";
import { go, link } from "./router.ts";
import { operationTone } from "./status.ts";
import { components, now, registryState, store } from "./store.ts";

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
  const worker = op.worker_id && op.status === "succeeded" ? components.value.get(`worker/${op.worker_id}`) : undefined;
  const once = stopped ? "Start again" : op.status === "failed" ? "Try again" : "Another";
  const name = op.worker_id ?? `${op.request.worker_type ?? "worker"}`;
  return (
    <article class={`operation card ${operationTone(op)}`} aria-label={`Start of ${name}`} data-testid="operation" data-key={job.key} data-status={op.status}>
      <header>
        <Status tone={operationTone(op)} word={stopped ? "stopped" : (words[op.status] ?? op.status)} />
        <h3>{op.worker_id ? <a href={link("worker", op.worker_id)}>{op.worker_id}</a> : name}</h3>
        <span class="quiet">
          {[op.request.engine, op.request.model && modelName(op.request.model), where(job)].filter(Boolean).join(" · ")}
        </span>
        <span class="seconds" data-testid="operation-seconds">
          {began === undefined || ended === undefined ? "" : seconds(ended - began)}
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
      <div class="buttons">
        {running && (
          <Button act={() => void cancel(job)} why={job.cancelling ? "It is being cancelled." : undefined} kind="danger" label={`${job.cancelling ? "Cancelling" : "Cancel"} the start of ${name}`} test="cancel">
            {job.cancelling ? "Cancelling" : "Cancel"}
          </Button>
        )}
        {op.status === "succeeded" && op.worker_id && (
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

function Progress({ job }: { job: Job }) {
  const p = job.progress;
  const part = fraction(p);
  const seen = p?.seen;
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
      {seen?.waiting && <p class="quiet">{seen.waiting}</p>}
      {seen?.last_line && (
        <p class="last-line" data-testid="last-line" title={seen.last_line}>
          {seen.last_line}
        </p>
      )}
      {tried && <p class="quiet">{tried.error ? `An attempt ended: ${tried.error}` : `${tried.event}`}</p>}
      {job.lost && (
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
            {lines.join("\n")}
          </pre>
        </>
      )}
    </div>
  );
}
