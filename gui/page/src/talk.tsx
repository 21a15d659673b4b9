// A talk with a worker, straight or through the queen. The address says with whom, and
// nothing else changes that.

import { signal } from "@preact/signals";
import type { TargetedEvent } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Stats } from "./chat.ts";
import { modelName, plural, seconds } from "./format.ts";
import { ask, say } from "./http.ts";
import { memo } from "./memo.ts";
import { announced, Button } from "./parts.tsx";
import { link, replace, route } from "./router.ts";
import { Said } from "./said.tsx";
import { canTalk } from "./status.ts";
import { components, queen, store } from "./store.ts";
import { another, conversation, type Conversation, lastOf, lastPlace, openPlace, type Place, placeLink, placeOf, type Turn, type Who } from "./talks.ts";
import { isFields, text, type Component } from "./wire.ts";

// Models are those of an API, by its base.
interface Models {
  base: string;
  list: readonly string[];
  problem?: string;
}

const models = signal<Models>({ base: "", list: [] });

// talkLink leads back to the conversation that was open last.
export function talkLink(): string {
  return lastPlace.value ? placeLink(lastPlace.value) : link("talk");
}

const nowhere: Place = { queen: false, name: "" };

export function Talk() {
  const workers = [...components.value.values()].filter(canTalk).sort((a, b) => a.id.localeCompare(b.id));
  const asked = placeOf(route.value) ?? lastPlace.value ?? nowhere;
  const place = asked.queen || asked.name || !workers[0] ? asked : { queen: false, name: workers[0].id };
  const worker = place.queen ? undefined : workers.find((w) => w.id === place.name);
  const base = !place.queen ? (worker ? `/api/workers/${encodeURIComponent(worker.id)}` : "") : queen.value ? store.hello.value.queen : "";
  useModels(base, (place.queen ? workers : worker ? [worker] : []).map((w) => `${w.id} ${w.instance_id ?? ""}`).join(" "));
  const got = models.value.base === base ? models.value : { base, list: [] };
  const c = conversation(place);
  const own = worker?.serves ?? worker?.model ?? "";
  const chosen = place.queen ? place.name : got.list.includes(c.model.value) ? c.model.value : got.list.includes(own) ? own : (got.list[0] ?? own);
  // What was left open is decided once, and written down: another worker that comes or
  // goes is not to take the place of this one.
  const first = place.queen && place.name === "" ? (got.list[0] ?? "") : "";
  useEffect(() => {
    if (first !== "") replace(placeLink({ queen: true, name: first }));
    else if (place.name !== "") {
      openPlace(place);
      if (link("talk", route.value.id, Object.fromEntries(route.value.query)) !== placeLink(place)) replace(placeLink(place));
    }
  }, [route.value, placeLink(place), first]);
  const anew = another(c.who, worker) && c.turns.value.length > 0 ? `Another worker is called ${place.name} now. It is not sent what stands above.` : undefined;
  const why =
    !store.whole.value ? "What is online is not known yet."
    : place.queen ? (base === "" ? "There is no queen." : chosen === "" ? (got.problem ?? "The queen knows of no model.") : undefined)
    : worker ? undefined
    : place.name === "" ? "No worker is online to talk to."
    : `${place.name} is not online.`;
  return (
    <div class="talk">
      <div class="page-head">
        <h1>Talk</h1>
        <Choice workers={workers} place={place} there={worker !== undefined} c={c} list={got.list} chosen={chosen} />
        <Clear c={c} />
      </div>
      <Output key={placeLink(place)} c={c} anew={anew} />
      <Composer c={c} why={why} to={{ base, by: place.queen ? "the queen" : place.name, model: chosen, who: worker, anew }} />
    </div>
  );
}

function Choice({ workers, place, there, c, list, chosen }: { workers: Component[]; place: Place; there: boolean; c: Conversation; list: readonly string[]; chosen: string }) {
  const q = queen.value;
  const worker = place.queen ? undefined : workers.find((w) => w.id === place.name);
  const choose = (p: Place) => replace(placeLink(p));
  return (
    <div class="choice">
      <label class="field">
        Route
        <select data-testid="talk-via" value={place.queen ? "queen" : "straight"} onChange={(e) => choose(lastOf(e.currentTarget.value === "queen"))}>
          <option value="straight">Straight to a worker</option>
          <option value="queen" disabled={!q && !place.queen}>
            Through the queen{q ? "" : " (there is none)"}
          </option>
        </select>
      </label>
      {!place.queen && (
        <label class="field">
          Worker
          <select data-testid="talk-worker" value={place.name} onChange={(e) => choose({ queen: false, name: e.currentTarget.value })}>
            {!there && <option value={place.name}>{place.name ? `${place.name} (not online)` : "none is online"}</option>}
            {workers.map((w) => (
              <option key={w.id} value={w.id}>
                {w.id}
                {w.model ? `, ${modelName(w.model)}` : ""}
              </option>
            ))}
          </select>
        </label>
      )}
      {(place.queen ? chosen !== "" : list.length > 0) && (
        <label class="field">
          Model
          <select data-testid="talk-model" value={chosen} onChange={(e) => (place.queen ? choose({ queen: true, name: e.currentTarget.value }) : (c.model.value = e.currentTarget.value))}>
            {!list.includes(chosen) && <option value={chosen}>{modelName(chosen)}</option>}
            {list.map((m) => (
              <option key={m} value={m}>
                {modelName(m === worker?.serves ? worker.model : m)}
              </option>
            ))}
          </select>
        </label>
      )}
      <details class="more options">
        <summary>Options</summary>
        <label class="field">
          Instructions to the model
          <textarea rows={3} dir="auto" value={c.system.value} onInput={(e) => (c.system.value = e.currentTarget.value)} />
        </label>
        <label class="field">
          Max tokens
          <input inputMode="numeric" value={c.limit.value} placeholder="the model's default" onInput={(e) => (c.limit.value = e.currentTarget.value.replace(/\D/g, ""))} />
        </label>
      </details>
    </div>
  );
}

// Clear takes the conversation away. It stands far from what is pressed all the time.
function Clear({ c }: { c: Conversation }) {
  if (c.turns.value.length === 0) return null;
  const clear = () => {
    c.clear();
    announced.value = "The conversation is cleared. Undo brings it back.";
  };
  return (
    <div class="buttons end">
      <Button act={clear} why={c.running.value ? "The answer is not whole yet. Stop it first." : undefined} test="chat-clear" label="Clear this conversation">
        Clear
      </Button>
    </div>
  );
}

// useModels asks whoever is talked to for its models, and again when who answers changes.
function useModels(base: string, who: string): void {
  useEffect(() => {
    if (base === "") return;
    const stop = new AbortController();
    ask(`${base}/v1/models`, stop.signal).then(
      (v) => {
        const data = isFields(v) && Array.isArray(v["data"]) ? v["data"] : [];
        models.value = { base, list: data.flatMap((m) => (isFields(m) ? (text(m, "id") ?? []) : [])) };
      },
      (err) => stop.signal.aborted || (models.value = { base, list: [], problem: `Its models are not known: ${say(err)}.` }),
    );
    return () => stop.abort();
  }, [base, who]);
}

function Output({ c, anew }: { c: Conversation; anew?: string }) {
  const list = c.turns.value;
  const running = c.running.value !== undefined;
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (box.current) c.following.grown(box.current);
  }, [list, anew]);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const sized = new ResizeObserver(() => c.following.grown(el));
    sized.observe(el);
    return () => sized.disconnect();
  }, []);
  return (
    <div ref={box} class="conversation card" role="log" aria-label="Conversation" aria-live="off" aria-busy={running} tabIndex={0} data-testid="chat-output" onScroll={(e) => c.following.scrolled(e.currentTarget)}>
      {list.length > 0 ? null : c.cleared.value.length > 0 ? (
        <div class="cleared quiet empty" data-testid="chat-cleared">
          The conversation is cleared.
          <Button act={() => c.undo()} test="chat-undo" label="Undo: bring the conversation back">
            Undo
          </Button>
        </div>
      ) : (
        <p class="quiet empty">Say something below. The answer comes as it is made.</p>
      )}
      {list.map((t) => (
        <TurnView key={t.n} t={t} busy={running && t === list[list.length - 1]} />
      ))}
      {anew && <Anew text={anew} />}
    </div>
  );
}

function Anew({ text }: { text: string }) {
  return (
    <p class="anew" data-testid="talk-anew">
      {text}
    </p>
  );
}

const TurnView = memo(function TurnView({ t, busy }: { t: Turn; busy: boolean }) {
  const name = t.role === "user" ? "You" : (t.by ?? "Answer");
  const empty = !busy && t.role === "assistant" && t.content === "" && !t.problem && !t.stopped;
  return (
    <>
      {t.anew && <Anew text={t.anew} />}
      <article class={`turn ${t.role}`} data-testid={`turn-${t.role}`} aria-label={name}>
        <h2>{name}</h2>
        {t.thinking && (
          <details class="more" open={t.content === ""}>
            <summary>Thinking</summary>
            <div class="said quiet" dir="auto">{t.thinking}</div>
          </details>
        )}
        <div class="said" dir="auto">
          {t.role === "user" ? t.content : <Said content={t.content} growing={busy} />}
          {empty && <span class="quiet" data-testid="chat-empty">The answer is empty.</span>}
          {busy && <span class="cursor" aria-hidden="true" />}
        </div>
        {t.problem && (
          <p class="bad-text" role="alert" data-testid="chat-error">
            {t.problem}
          </p>
        )}
        {t.role === "assistant" && t.stats && (
          <p class="quiet numbers" data-testid="chat-stats">
            {figures(t, t.stats)}
          </p>
        )}
      </article>
    </>
  );
});

function figures(t: Turn, s: Stats): string {
  const about = s.counted ? "" : "about ";
  return [
    s.firstMs !== undefined && `first token after ${s.firstMs < 1000 ? `${Math.round(s.firstMs)} ms` : seconds(s.firstMs)}`,
    s.tokens > 0 && about + plural(s.tokens, "token"),
    s.perSecond !== undefined && `${about}${s.counted && s.perSecond < 100 ? s.perSecond.toFixed(1) : Math.round(s.perSecond)} tokens/s`,
    t.ended === "length" && "ended at the limit of tokens",
    t.stopped && "stopped",
  ]
    .filter(Boolean)
    .join(" · ");
}

function Composer({ c, to, why }: { c: Conversation; to: { base: string; by: string; model: string; who?: Who; anew?: string }; why?: string }) {
  const busy = c.running.value !== undefined;
  const input = useRef<HTMLTextAreaElement>(null);
  const submit = (e: TargetedEvent) => {
    e.preventDefault();
    if (why === undefined) void c.send(to);
  };
  // A button that goes leaves the focus nowhere.
  const begun = useRef(false);
  useLayoutEffect(() => {
    if (begun.current && document.activeElement === document.body) input.current?.focus();
    begun.current = true;
  }, [busy, c.turns.value.length === 0]);
  return (
    <form class="composer" onSubmit={submit} aria-label="Say something">
      {why && (
        <p class="quiet" data-testid="talk-none">
          {why} {store.whole.value && to.by !== "the queen" && <><a href={link("spawn")}>Start a worker</a>.</>}
        </p>
      )}
      <div class="composer-row">
        <textarea
          ref={input}
          id="chat-input"
          data-testid="chat-input"
          aria-label={to.by ? `Message to ${to.by}` : "Message"}
          placeholder="Enter sends, Shift and Enter begin a new line"
          rows={2}
          dir="auto"
          value={c.draft.value}
          onInput={(e) => (c.draft.value = e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === "Enter" && !e.shiftKey && !e.isComposing) submit(e);
          }}
        />
        <div class="buttons">
          {busy ? (
            <Button act={() => c.running.value?.abort()} kind="danger" test="chat-stop">
              Stop
            </Button>
          ) : (
            <button type="submit" class="button main" data-testid="chat-send" aria-disabled={why !== undefined || c.draft.value.trim() === "" || undefined}>
              Send
            </button>
          )}
        </div>
      </div>
    </form>
  );
}
