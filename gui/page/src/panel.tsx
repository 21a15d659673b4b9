// The panel of one component, beside the table.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Actions } from "./actions.tsx";
import { bytes, clock, day, duration, modelName, none, when } from "./format.ts";
import { ask } from "./http.ts";
import { LogView } from "./logview.tsx";
import { Ago, Button, Seen, Status } from "./parts.tsx";
import { memory, Plot, processor } from "./plot.tsx";
import { look, looks } from "./places.ts";
import { leave, link } from "./router.ts";
import { gather, poll } from "./sse.ts";
import { MachineSummary } from "./spawn.tsx";
import { canTalk, mayAct, registryWord, statusOf, tone, whyNot } from "./status.ts";
import { components, registryState, store } from "./store.ts";
import { query } from "./table.tsx";
import { useWhileVisible } from "./visible.ts";
import { isFields, json, number, samples, text, type Component, type Fields, type Sample } from "./wire.ts";

export function close(): void {
  leave(link("cluster", "", { q: query.peek() }));
}

// Panel has its children, which are about the whole page, at the top.
export function Panel({ kind, id, children }: { kind: string; id: string; children?: preact.ComponentChildren }) {
  const title = useRef<HTMLHeadingElement>(null);
  const last = useRef<Component>(undefined);
  const key = `${kind}/${id}`;
  const there = components.value.get(key);
  if (there) last.current = there;
  // What ended while one looks at it stays, with its log.
  else if (last.current?.key === key && !last.current.gone) last.current = { ...last.current, gone: true, ended: store.now() };
  const c = there ?? (last.current?.key === key ? last.current : undefined);
  useEffect(() => {
    const from = document.activeElement instanceof HTMLElement ? document.activeElement.closest<HTMLElement>("[data-key]")?.dataset["key"] : undefined;
    title.current?.focus();
    return () => {
      // Back to where it was opened, for the keyboard.
      requestAnimationFrame(() => {
        const now = document.activeElement;
        if (now !== document.body && now?.id !== "main") return; // to which focus.ts may have been first
        document.querySelector<HTMLElement>(`tr[data-key="${CSS.escape(from ?? key)}"] a`)?.focus({ preventScroll: true });
      });
    };
  }, [key]);
  return (
    <aside class="panel" aria-labelledby="panel-title" data-testid="panel" data-key={key}>
      {children}
      <header class="panel-head">
        <div>
          <span class="quiet">{kind === "gui" ? "GUI" : kind}</span>
          <h2 id="panel-title" ref={title} tabIndex={-1}>
            {kind === "registry" ? "Registry" : id}
          </h2>
        </div>
        {c && kind !== "registry" && <Status tone={tone(statusOf(c))} word={statusOf(c)} />}
        <Button act={close} label="Close the panel" kind="quiet" test="panel-close">
          ×
        </Button>
      </header>
      <div class="panel-body">
        {kind === "registry" ? (
          <RegistryPanel />
        ) : c ? (
          <Details key={key} c={c} />
        ) : (
          <p class="quiet" data-testid="panel-absent">
            {store.whole.value ? `There is no ${kind} ${id} now. It may have ended, or be about to register.` : "Asking rbee-gui what there is."}
          </p>
        )}
      </div>
    </aside>
  );
}

function Row({ name, children, test }: { name: string; children: preact.ComponentChildren; test?: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd data-testid={test}>{children}</dd>
    </>
  );
}

// Age is how long a life has gone on, or went on until it ended.
function Age({ time, ended }: { time?: string; ended?: number }) {
  const began = when(time);
  if (began === undefined) return <>{none}</>;
  return (
    <time dateTime={time} title={time}>
      {ended === undefined ? <Ago time={time} /> : duration(ended - began)} <span class="quiet">{[ended === undefined ? "since" : "from", day(time), clock(time)].filter(Boolean).join(" ")}</span>
    </time>
  );
}

function RegistryPanel() {
  const r = registryState.value;
  const c = components.value.get("registry/registry");
  return (
    <>
      <dl class="facts">
        <Row name="State" test="registry-state">{registryWord(r.state)}</Row>
        <Row name="Address">{r.url ?? none}</Row>
        {r.cause && <Row name="Because">{r.cause}</Row>}
        {r.as_of && r.state !== "connected" && <Row name="Last heard of">{`${day(r.as_of)} ${clock(r.as_of)}`}</Row>}
      </dl>
      {r.state === "away" && <p class="quiet">It is tried again all the time, and nothing has to be done here. To start one: rbee-registry.</p>}
      {r.state === "none" && <p class="quiet">rbee-gui was started without one: it shows and commands what is launched on this machine.</p>}
      {r.state === "connected" && <p class="quiet why-not" data-testid="why-not">A registry is stopped and restarted where it was started.</p>}
      <More title="Capabilities" of={c?.capabilities} />
      <More title="Metadata" of={c?.metadata} />
    </>
  );
}

function Details({ c }: { c: Component }) {
  const acts = c.acts ?? "";
  const own = mayAct(c);
  // Where it has ended, its log can still be read.
  const readable = acts !== "" && (own || c.gone === true) && c.kind !== "hive";
  const path = `${acts}/v1/hive/workers/${encodeURIComponent(c.id)}`;
  const { process, asked } = useProcess(readable && !c.gone ? path : "", `${c.instance_id} ${c.pid} ${c.status}`);
  const started = process && text(process, "started_at");
  const pid = (process && number(process, "pid")) || c.pid;
  const model = c.model || (c.capabilities && text(c.capabilities, "model"));
  const restarts = (process && number(process, "restarts")) ?? c.restarts;
  return (
    <>
      <Actions c={c} talk={canTalk(c)} />
      {!own && c.kind !== "registry" && (
        <p class="quiet why-not" data-testid="why-not">
          {whyNot(c)}
        </p>
      )}
      <dl class="facts">
        {model && <Row name="Model" test="model"><span title={model}>{modelName(model)}</span></Row>}
        {(c.engine || c.worker_type) && <Row name="Engine">{c.engine ?? none} <span class="quiet">{c.worker_type ?? ""}</span></Row>}
        <Row name="Age" test="age"><Age time={started ?? c.started_at ?? c.registered_at} ended={c.ended} /></Row>
        <Row name="Address" test="address">{c.url ? <a href={c.url} rel="noreferrer">{c.url}</a> : c.hostname ? `${c.hostname}:${c.port ?? "?"}` : none}</Row>
        {c.hive && <Row name="Hive"><a href={link("hive", c.hive)}>{c.hive}</a></Row>}
        <Row name="Last seen"><Seen c={c} ago=" ago" /></Row>
        {c.kind === "worker" && <Row name="Restarts" test="restarts">{restarts ?? none}</Row>}
        {pid && !c.gone ? <Row name="Process">{pid}{process && text(process, "status") ? <span class="quiet"> {text(process, "status")}</span> : null}</Row> : null}
        <Row name="Instance" test="instance"><code>{c.instance_id ?? none}</code></Row>
      </dl>
      {readable && <Usage url={`${path}/usage`} life={`${c.instance_id} ${c.pid}`} ended={!!c.gone} />}
      {c.kind === "hive" && !c.gone && <HiveMachine c={c} />}
      {readable && (asked || c.gone) && (
        <LogView url={`${path}/logs`} id={c.id} life={c.gone ? "" : (c.instance_id ?? String(c.pid ?? ""))} started={started ?? c.started_at} />
      )}
      <More title="Capabilities" of={c.capabilities} />
      <More title="Metadata" of={c.metadata} />
    </>
  );
}

// useProcess is what the supervisor sees, asked again whenever the component is another.
function useProcess(path: string, needs: string): { process?: Fields; asked: boolean } {
  const found = useSignal<{ process?: Fields; asked: boolean }>({ asked: false });
  useWhileVisible(
    (signal) => {
      if (path === "") return;
      ask(path, signal).then(
        (v) => (found.value = { process: isFields(v) ? v : undefined, asked: true }),
        () => (found.value = { ...found.value, asked: true }), // the registry's word is shown instead
      );
    },
    [path, needs],
  );
  return found.value;
}

const keptSamples = 120;

// joined is what was known, and what is told now from its first on.
function joined(known: readonly Sample[], told: readonly Sample[]): readonly Sample[] {
  const first = when(told[0]?.time) ?? 0;
  const next = [...known.filter((s) => (when(s.time) ?? 0) < first), ...told].slice(-keptSamples);
  return next.length === known.length && next[next.length - 1]?.time === known[known.length - 1]?.time ? known : next;
}

function Usage({ url, life, ended }: { url: string; life: string; ended: boolean }) {
  const list = useSignal<readonly Sample[]>([]);
  const refused = useSignal(false);
  useWhileVisible(
    (signal) => {
      if (ended) return;
      const ask = async () => {
        const said = await gather(`${url}?follow=false`, signal, "history");
        refused.value = false;
        const now = said.flatMap((m) => (m.event === "history" ? samples(json(m.data)) : []));
        if (now.length > 0) list.value = joined(list.value, now);
      };
      poll({ signal, every: 2_000, ask }).catch(() => (refused.value = true));
    },
    [url, life, ended],
  );
  if (refused.value && list.value.length === 0) return <p class="quiet">What it uses is not measured.</p>;
  return (
    <div class="plots" data-testid="plots">
      <Plot title="Processor" points={processor(list.value)} write={(v) => (v === undefined ? none : `${Math.round(v)} %`)} least={20} test="plot-cpu" />
      <Plot title="Memory" points={memory(list.value)} write={bytes} least={1 << 20} test="plot-memory" />
    </div>
  );
}

function HiveMachine({ c }: { c: Component }) {
  const base = `/api/hives/${encodeURIComponent(c.id)}`;
  useWhileVisible((signal) => void look(base, signal), [base, c.instance_id]);
  const l = looks.value.get(base);
  return (
    <>
      {l?.error && <p class="warn-text">What it has is not known: {l.error}</p>}
      {l?.machine && <MachineSummary m={l.machine} />}
      {l?.machine && (
        <dl class="facts">
          <Row name="Engines">{l.machine.engines.map((e) => e.name).join(", ") || "none found"}</Row>
          <Row name="Model files">{l.machine.models.length}</Row>
        </dl>
      )}
      <div class="buttons">
        <a class="button" href={link("cluster", "", { q: `hive:${c.id}` })}>
          Show its workers
        </a>
      </div>
    </>
  );
}

function More({ title, of }: { title: string; of?: Fields }) {
  if (!of || Object.keys(of).length === 0) return null;
  return (
    <details class="more" data-testid={title.toLowerCase()}>
      <summary>{title}</summary>
      <dl class="facts small">
        {Object.entries(of).map(([name, v]) => (
          <Row key={name} name={name}>
            {brief(v)}
          </Row>
        ))}
      </dl>
    </details>
  );
}

// brief is a value in few words: what is in it, by name.
function brief(v: unknown): string {
  if (v === null || v === undefined) return none;
  if (Array.isArray(v)) return v.map(brief).join(", ") || none;
  if (!isFields(v)) return String(v);
  const said = Object.entries(v).map(([name, x]) => (x === true ? name : `${name} ${isFields(x) ? `(${brief(x)})` : brief(x)}`));
  return said.join(", ") || none;
}
