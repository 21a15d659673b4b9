// The form that starts a worker, from what is really there, and the starts there were.

import { batch, signal } from "@preact/signals";
import type { JSX, TargetedEvent } from "preact";
import { useEffect } from "preact/hooks";
import { bytes, count, modelName, none } from "./format.ts";
import { Problem, say } from "./http.ts";
import { changes, followJobs, isQueen, jobs, jobsRead, newest, readJobs, requested, spawn, unread, type Job } from "./jobs.ts";
import { connection } from "./live.ts";
import { OperationCard } from "./operation.tsx";
import { announced, Meter } from "./parts.tsx";
import { free, hiveBase, hiveIn, installed, look, looks, need, places, together } from "./places.ts";
import { replace, route } from "./router.ts";
import { components, store } from "./store.ts";
import { useWhileVisible } from "./visible.ts";
import type { Component, Machine, Model, SpawnRequest } from "./wire.ts";
import { join, split } from "./words.ts";

// The form is kept while other pages are looked at.
const form = {
  base: signal(""), engine: signal(""), type: signal(""), model: signal(""), device: signal(""), port: signal(""), args: signal(""),
  filter: signal(""),
};
const refused = signal<{ field: string; text: string } | undefined>(undefined);
const sending = signal(false);

function fill(base: string, r: SpawnRequest): void {
  batch(() => {
    form.base.value = base;
    form.engine.value = r.engine ?? "";
    form.type.value = r.worker_type ?? "";
    form.model.value = r.model ?? "";
    form.device.value = r.device ?? "";
    form.port.value = "";
    form.args.value = join(r.args ?? []);
    refused.value = undefined;
  });
}

// like fills the form as for another such component: as it was asked for, where its server
// knows that, unless the form is changed meanwhile.
async function like(c: Component): Promise<void> {
  const hive = hiveBase(c.hive ?? "");
  const base = places.value.some((p) => p.base === hive) ? hive : c.acts || store.hello.value.here;
  fill(base, { engine: c.engine, worker_type: c.worker_type, model: c.model });
  const written = () => Object.values(form).map((s) => s.peek()).join("\n");
  const before = written();
  const request = await requested(base, c.id).catch(() => undefined); // what there is, is filled in
  if (request && written() === before) fill(base, request);
}

export function Spawn() {
  const list = places.value;
  if (form.base.value === "" || (store.whole.value && !list.some((p) => p.base === form.base.value))) {
    form.base.value = list[0]?.base ?? "/api/here";
  }
  const base = form.base.value;
  const asked = route.value.query.get("like");
  useEffect(() => {
    const c = asked ? components.value.get(asked) : undefined;
    if (!asked || !store.whole.value) return;
    if (c) void like(c);
    replace("#/spawn");
  }, [asked, store.whole.value]);

  const hives = list.filter((p) => !p.why && hiveIn(p.base)).map((p) => p.base).join(" ");
  const seen = isQueen(base) ? hives : base; // of the queen's each may be the one
  useWhileVisible((stop) => seen.split(" ").forEach((b) => b && void look(b, stop)), [seen, connection.value.state === "live"]);

  // Who else starts something is known by what is starting, and by what other tabs say.
  const starting = [...components.value.values()].filter((c) => c.status === "starting").map((c) => c.key).join(" ");
  const bases = list.filter((p) => !p.why).map((p) => p.base).join(" ");
  useWhileVisible(
    (stop) => void readJobs(bases.split(" "), stop).then(() => followJobs(stop)),
    [bases, starting, changes.value, connection.value.state === "live"],
  );
  const all = newest(jobs.value.values());
  const away = connection.value.state === "lost"; // as the banner says
  return (
    <div class="spawn">
      <h1>Spawn</h1>
      <div class="two">
        <Form />
        <section aria-labelledby="starts-title" class="starts">
          <h2 id="starts-title">Recent starts</h2>
          {away && unread.value.size > 0 && all.length === 0 && (
            <p class="warn-text" data-testid="starts-unknown">
              What was started is not known while rbee-gui does not answer.
            </p>
          )}
          {!away && [...unread.value].map(([of, why]) => (
            <p key={of} class="warn-text" data-testid="starts-unknown">
              What was started {isQueen(of) ? "through the queen" : hiveIn(of) ? `on hive ${hiveIn(of)}` : "on this machine"} is not known: {why}.
            </p>
          ))}
          {all.length === 0 && unread.value.size === 0 && (
            <p class="quiet empty" data-testid="no-starts">{jobsRead.value ? "Nothing has been started yet." : "Looking for what has been started."}</p>
          )}
          {all.map((j) => (
            <OperationCard key={j.key} job={j} again={(job: Job) => again(job)} />
          ))}
        </section>
      </div>
    </div>
  );
}

function again(job: Job): void {
  fill(job.base, job.op.request);
  document.getElementById("spawn-where")?.focus();
}

// moveTo has another place chosen, to which nothing applies that was said of the last one.
function moveTo(base: string): void {
  form.base.value = base;
  refused.value = undefined;
}

function request(): SpawnRequest {
  const r: SpawnRequest = { worker_type: form.type.value || "llm", model: form.model.value.trim() };
  if (form.engine.value) r.engine = form.engine.value;
  if (isQueen(form.base.value)) return r;
  if (form.device.value) r.device = form.device.value;
  if (form.port.value.trim()) r.port = Number(form.port.value);
  const args = words("args", form.args.value);
  if (args.length > 0) r.args = args;
  return r;
}

// words are those of a field. It throws the Problem that it is not finished.
function words(field: string, line: string): string[] {
  try {
    return split(line);
  } catch (err) {
    throw new Problem(say(err), 0, "", field);
  }
}

async function submit(e: TargetedEvent<HTMLFormElement>): Promise<void> {
  e.preventDefault();
  if (sending.value) return;
  sending.value = true;
  refused.value = undefined;
  try {
    await spawn(form.base.value, request());
    document.getElementById("starts-title")?.scrollIntoView({ block: "nearest" });
    announced.value = "The start has begun.";
  } catch (err) {
    const field = err instanceof Problem ? err.field : "";
    refused.value = { field, text: say(err) };
    const named: Record<string, string> = { worker_type: "type" };
    document.getElementById(`spawn-${named[field] ?? field}`)?.focus();
  } finally {
    sending.value = false;
  }
}

function Form() {
  const base = form.base.value;
  const l = looks.value.get(base);
  const m = l?.machine;
  const byQueen = isQueen(base);
  const place = places.value.find((p) => p.base === base);
  const all = byQueen ? together(places.value.flatMap((p) => (hiveIn(p.base) && !p.why && looks.value.get(p.base)?.machine) || [])) : undefined;
  const engines = all?.engines ?? (m ? installed(m) : []);
  const engine = engines.find((e) => e.name === form.engine.value);
  const types = [...new Set((engine ? [engine] : engines.filter((e) => !e.explicit)).flatMap((e) => e.types))].filter((t) => t !== "*");
  const device = form.device.value;
  const known = device === "" || device === "cpu" || m?.devices.some((d, i) => String(d.index ?? i) === device);
  const error = refused.value;
  const named = ["engine", "worker_type", "model", "device", "port", "args"];
  return (
    <form class="card form" onSubmit={(e) => void submit(e)} aria-label="Start a worker" data-testid="spawn-form" noValidate>
      <Field id="where" name="Where" error="">
        <select id="spawn-where" data-testid="spawn-where" value={base} onChange={(e) => moveTo(e.currentTarget.value)}>
          {places.value.map((p) => (
            <option key={p.base} value={p.base} disabled={!!p.why}>
              {p.name}
              {p.why ? ` (${p.why})` : ""}
            </option>
          ))}
        </select>
      </Field>
      {l?.error && connection.value.state !== "lost" && (
        <p class="bad-text" role="alert" data-testid="place-error">
          What {place?.name ?? base} has is not known: {l.error}.{" "}
          <button type="button" class="button" onClick={() => void look(base)}>
            Ask again
          </button>
        </p>
      )}
      {m && <MachineSummary m={m} />}
      <Field id="engine" name="Engine" error={error?.field === "engine" ? error.text : ""} hint={engine?.path}>
        <select id="spawn-engine" data-testid="spawn-engine" value={form.engine.value} onChange={(e) => (form.engine.value = e.currentTarget.value)} {...bad("engine")}>
          <option value="">Automatic</option>
          {engines.map((e) => (
            <option key={e.name} value={e.name}>
              {e.name === "builtin" ? "builtin (a simulation, needs no model)" : e.name}
            </option>
          ))}
          {form.engine.value && !engine && <option value={form.engine.value}>{form.engine.value}{m || all ? " (not found there)" : ""}</option>}
        </select>
      </Field>
      <Field id="type" name="Type" error={error?.field === "worker_type" ? error.text : ""}>
        <input id="spawn-type" data-testid="spawn-type" list="spawn-types" placeholder="llm" autocomplete="off" value={form.type.value} onInput={(e) => (form.type.value = e.currentTarget.value)} {...bad("worker_type")} />
        <datalist id="spawn-types">
          {types.map((t) => (
            <option key={t} value={t} />
          ))}
        </datalist>
      </Field>
      <Field id="model" name="Model" error={error?.field === "model" ? error.text : ""} hint={all ? "A file that a hive has, or a name that the engine knows." : "A file from the list, or a name that the engine knows."}>
        <input id="spawn-model" data-testid="spawn-model" list={all && "spawn-models"} autocomplete="off" spellcheck={false} value={form.model.value} onInput={(e) => (form.model.value = e.currentTarget.value)} {...bad("model")} />
      </Field>
      {m && <Models m={m} />}
      {all && (
        <datalist id="spawn-models">
          {all.models.map((x) => (
            <option key={x.name} value={x.name} />
          ))}
        </datalist>
      )}
      {!byQueen && (
        <div class="pair">
          <Field id="device" name="Device" error={error?.field === "device" ? error.text : ""}>
            <select id="spawn-device" data-testid="spawn-device" value={form.device.value} onChange={(e) => (form.device.value = e.currentTarget.value)} {...bad("device")}>
              <option value="">Automatic</option>
              <option value="cpu">Processor alone</option>
              {m?.devices.map((d, i) => (
                <option key={d.uuid ?? i} value={String(d.index ?? i)}>
                  {d.index ?? i}: {d.name ?? "device"}
                  {d.memory_bytes ? `, ${bytes(d.memory_bytes - (d.memory_used_bytes ?? 0))} free` : ""}
                </option>
              ))}
              {!known && <option value={form.device.value}>{form.device.value}</option>}
            </select>
          </Field>
          <Field id="port" name="Port" error={error?.field === "port" ? error.text : ""}>
            <input id="spawn-port" data-testid="spawn-port" inputMode="numeric" placeholder="Automatic" autocomplete="off" value={form.port.value} onInput={(e) => (form.port.value = e.currentTarget.value.replace(/\D/g, ""))} {...bad("port")} />
          </Field>
        </div>
      )}
      {!byQueen && (
        <Field id="args" name="Arguments" error={error?.field === "args" ? error.text : ""} hint="For the engine itself, after all others. Quotes keep words together.">
          <input id="spawn-args" data-testid="spawn-args" autocomplete="off" spellcheck={false} value={form.args.value} onInput={(e) => (form.args.value = e.currentTarget.value)} {...bad("args")} />
        </Field>
      )}
      {error && !named.includes(error.field) && (
        <p class="bad-text" role="alert" data-testid="spawn-error">
          {error.text}
        </p>
      )}
      <div class="buttons">
        <button type="submit" class="button main" data-testid="spawn-start" aria-disabled={sending.value || undefined}>
          {sending.value ? "Asking" : "Start the worker"}
        </button>
      </div>
    </form>
  );
}

function bad(field: string) {
  if (refused.value?.field !== field) return {};
  return { "aria-invalid": true as const, "aria-describedby": `spawn-${field === "worker_type" ? "type" : field}-error` };
}

function Field(p: { id: string; name: string; error: string; hint?: string; children: JSX.Element | JSX.Element[] }) {
  return (
    <div class="field">
      <label for={`spawn-${p.id}`}>{p.name}</label>
      {p.children}
      {p.error ? (
        <span class="bad-text" id={`spawn-${p.id}-error`} role="alert" data-testid={`spawn-${p.id}-error`}>
          {p.error}
        </span>
      ) : (
        p.hint && <span class="quiet hint">{p.hint}</span>
      )}
    </div>
  );
}

export function MachineSummary({ m }: { m: Machine }) {
  const total = m.memory_bytes;
  const left = m.memory_available_bytes;
  return (
    <div class="machine" data-testid="machine">
      {total !== undefined && left !== undefined && total > 0 && (
        <div>
          <span>
            Memory <span class="quiet">{bytes(left)} free of {bytes(total)}{m.cores ? `, ${m.cores} cores` : ""}</span>
          </span>
          <Meter value={1 - left / total} label={`Memory in use, ${bytes(left)} free`} />
        </div>
      )}
      {m.devices.map((d, i) => {
        const size = d.memory_bytes ?? 0;
        const used = d.memory_used_bytes ?? 0;
        return (
          <div key={d.uuid ?? i}>
            <span>
              {d.name ?? `Device ${d.index ?? i}`} <span class="quiet">{size ? `${bytes(size - used)} free of ${bytes(size)}` : "shares the machine's memory"}</span>
            </span>
            {size > 0 && <Meter value={used / size} label={`Memory of ${d.name ?? "the device"} in use`} />}
          </div>
        );
      })}
      {m.problems.map((p) => (
        <p key={p} class="warn-text">
          {p}
        </p>
      ))}
    </div>
  );
}

const mostModels = 200;

function Models({ m }: { m: Machine }) {
  const words = form.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = m.models.filter((x) => words.every((w) => `${x.name} ${x.architecture ?? ""} ${x.quantization ?? ""}`.toLowerCase().includes(w)));
  const room = free(m, form.device.value);
  if (m.models.length === 0) {
    return (
      <div class="quiet no-models" data-testid="no-models">
        No model files were found.
        {m.model_dirs.length > 0 && (
          <ul>
            {m.model_dirs.map((d) => (
              <li key={d.path}>
                <code>{d.path}</code> {d.error ?? (d.exists === false ? "does not exist" : "has none")}
              </li>
            ))}
          </ul>
        )}
      </div>
    );
  }
  return (
    <fieldset class="models" data-testid="models">
      <legend>Model files{room !== undefined ? `, against ${bytes(room)} free` : ""}</legend>
      {m.models.length > 8 && (
        <input type="search" aria-label="Filter the model files" placeholder={`Filter ${m.models.length} files`} value={form.filter.value} onInput={(e) => (form.filter.value = e.currentTarget.value)} />
      )}
      <div class="model-list">
        {found.slice(0, mostModels).map((x) => (
          <ModelRow key={x.path ?? x.name} x={x} room={room} />
        ))}
        {found.length === 0 && <p class="quiet">None of them is called that.</p>}
        {found.length > mostModels && <p class="quiet">And {found.length - mostModels} more: filter for them.</p>}
      </div>
    </fieldset>
  );
}

function ModelRow({ x, room }: { x: Model; room: number | undefined }) {
  const value = x.path ?? x.name;
  const wants = need(x);
  const part = wants !== undefined && room ? wants / room : undefined;
  const verdict = x.error ? x.error : part === undefined ? "" : part > 1 ? "more than is free" : part > 0.85 ? "a tight fit" : "fits";
  const tone = part === undefined ? undefined : part > 1 ? ("bad" as const) : part > 0.85 ? ("warn" as const) : ("good" as const);
  return (
    <label class={`model ${x.error ? "unusable" : ""}`} title={x.path}>
      <input type="radio" name="model-file" value={value} disabled={!!x.error} checked={form.model.value === value || form.model.value === x.name} onChange={() => (form.model.value = value)} />
      <span class="model-name">{modelName(x.name)}</span>
      <span class="quiet model-facts">
        {[x.architecture, x.parameters && count(x.parameters), x.quantization, x.size_bytes && bytes(x.size_bytes)].filter(Boolean).join(" · ") || none}
      </span>
      <span class="model-memory">
        {wants !== undefined && !x.error && <span class="quiet">{x.memory_bytes === undefined ? "at least " : "about "}{bytes(wants)}</span>}
        {part !== undefined && !x.error && <Meter value={part} tone={tone} label={`Memory needed of what is free: ${verdict}`} />}
        <span class={tone && tone !== "good" ? `${tone}-text` : "quiet"}>{verdict}</span>
      </span>
    </label>
  );
}
