// A talk with a worker, straight or through the queen. What was said is kept for as long
// as the tab is open.

import { batch, signal } from "@preact/signals";
import type { TargetedEvent } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Answer, converse, parts, type Said, type Stats } from "./chat.ts";
import { Following } from "./follow.ts";
import { modelName, plural, seconds } from "./format.ts";
import { ask, say } from "./http.ts";
import { memo } from "./memo.ts";
import { announced, Button } from "./parts.tsx";
import { link, replace, route } from "./router.ts";
import { canTalk } from "./status.ts";
import { components, queen, store } from "./store.ts";
import { isFields, text } from "./wire.ts";

interface Turn extends Said {
  n: number;
  thinking?: string;
  stats?: Stats;
  problem?: string;
  by?: string;
  stopped?: boolean;
}

const turns = signal<readonly Turn[]>([]);
const draft = signal("");
const running = signal<AbortController | undefined>(undefined);
const via = signal<"straight" | "queen">("straight");
const model = signal("");
const models = signal<readonly string[]>([]);
const system = signal("");
const limit = signal("");
const following = new Following();
let count = 0;

export function Talk() {
  const workers = [...components.value.values()].filter(canTalk).sort((a, b) => a.id.localeCompare(b.id));
  const q = queen.value;
  const asked = route.value.id;
  const throughQueen = via.value === "queen" && q !== undefined;
  const worker = workers.find((w) => w.id === asked) ?? (asked ? undefined : workers[0]);
  const target = throughQueen ? store.hello.value.queen : worker ? `/api/workers/${encodeURIComponent(worker.id)}` : "";
  useModels(target, worker?.serves ?? worker?.model ?? "");
  const by = throughQueen ? "the queen" : (worker?.id ?? "");
  return (
    <div class="talk">
      <div class="page-head">
        <h1>Talk</h1>
        <Choice workers={workers} worker={worker} asked={asked} />
      </div>
      <Conversation />
      <Composer target={target} by={by} />
    </div>
  );
}

function Choice({ workers, worker, asked }: { workers: { id: string; model?: string }[]; worker?: { id: string; model?: string; serves?: string }; asked: string }) {
  const q = queen.value;
  return (
    <div class="choice">
      <label class="field">
        Way
        <select data-testid="talk-via" value={q ? via.value : "straight"} onChange={(e) => (via.value = e.currentTarget.value === "queen" ? "queen" : "straight")}>
          <option value="straight">Straight to a worker</option>
          <option value="queen" disabled={!q}>
            Through the queen{q ? "" : " (there is none)"}
          </option>
        </select>
      </label>
      {(via.value === "straight" || !q) && (
        <label class="field">
          Worker
          <select data-testid="talk-worker" value={worker?.id ?? asked} onChange={(e) => replace(link("talk", e.currentTarget.value))}>
            {!worker && <option value={asked}>{asked ? `${asked} (not online)` : "none is online"}</option>}
            {workers.map((w) => (
              <option key={w.id} value={w.id}>
                {w.id}
                {w.model ? `, ${modelName(w.model)}` : ""}
              </option>
            ))}
          </select>
        </label>
      )}
      {models.value.length > 0 && (
        <label class="field">
          Model
          <select data-testid="talk-model" value={model.value} onChange={(e) => (model.value = e.currentTarget.value)}>
            {models.value.map((m) => (
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
          <textarea rows={3} value={system.value} onInput={(e) => (system.value = e.currentTarget.value)} />
        </label>
        <label class="field">
          At most so many tokens
          <input inputMode="numeric" value={limit.value} placeholder="as the model has it" onInput={(e) => (limit.value = e.currentTarget.value.replace(/\D/g, ""))} />
        </label>
      </details>
    </div>
  );
}

// useModels asks whoever is talked to for its models.
function useModels(target: string, fallback: string): void {
  useEffect(() => {
    const stop = new AbortController();
    const set = (list: string[]) =>
      batch(() => {
        models.value = list;
        if (!list.includes(model.value)) model.value = list[0] ?? fallback;
      });
    if (target === "") return set([]);
    ask(`${target}/v1/models`, stop.signal).then(
      (v) => {
        const data = isFields(v) && Array.isArray(v["data"]) ? v["data"] : [];
        set(data.flatMap((m) => (isFields(m) ? (text(m, "id") ?? []) : [])));
      },
      () => stop.signal.aborted || set([]),
    );
    return () => stop.abort();
  }, [target]);
}

function Conversation() {
  const list = turns.value;
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (box.current) following.grown(box.current);
  }, [list]);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const sized = new ResizeObserver(() => following.grown(el));
    sized.observe(el);
    return () => sized.disconnect();
  }, []);
  return (
    <div
      ref={box}
      class="conversation card"
      role="log"
      aria-label="Conversation"
      aria-live="off"
      aria-busy={running.value !== undefined}
      tabIndex={0}
      data-testid="chat-output"
      onScroll={(e) => following.scrolled(e.currentTarget)}
    >
      {list.length === 0 && <p class="quiet empty">Say something below. The answer comes as it is made.</p>}
      {list.map((t) => (
        <TurnView key={t.n} t={t} busy={running.value !== undefined && t === list[list.length - 1]} />
      ))}
    </div>
  );
}

const TurnView = memo(function TurnView({ t, busy }: { t: Turn; busy: boolean }) {
  const s = t.stats;
  return (
    <article class={`turn ${t.role}`} data-testid={`turn-${t.role}`} aria-label={t.role === "user" ? "You" : (t.by ?? "Answer")}>
      <h2>{t.role === "user" ? "You" : (t.by ?? "Answer")}</h2>
      {t.thinking && (
        <details class="more" open={t.content === ""}>
          <summary>Thinking</summary>
          <div class="said quiet">{t.thinking}</div>
        </details>
      )}
      <div class="said">
        {t.role === "user"
          ? t.content
          : parts(t.content).map((p, i) =>
              p.code ? (
                <pre key={i} tabIndex={0} aria-label={`Code ${p.lang}`}>
                  <code>{p.text}</code>
                </pre>
              ) : (
                <span key={i}>{p.text}</span>
              ),
            )}
        {busy && <span class="cursor" aria-hidden="true" />}
      </div>
      {t.problem && (
        <p class="bad-text" role="alert" data-testid="chat-error">
          {t.problem}
        </p>
      )}
      {t.role === "assistant" && s && (
        <p class="quiet numbers" data-testid="chat-stats">
          {[
            s.firstMs !== undefined && `first token after ${s.firstMs < 1000 ? `${Math.round(s.firstMs)} ms` : seconds(s.firstMs)}`,
            s.tokens > 0 && `${plural(s.tokens, s.counted ? "token" : "piece")}`,
            s.perSecond !== undefined && `${s.perSecond.toFixed(1)} ${s.counted ? "tokens" : "pieces"} per second`,
            t.stopped && "stopped",
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
      )}
    </article>
  );
});

async function sendDraft(target: string, by: string): Promise<void> {
  const content = draft.value.trim();
  if (content === "" || target === "" || running.value) return;
  const stop = new AbortController();
  const mine: Turn = { n: ++count, role: "user", content };
  let turn: Turn = { n: ++count, role: "assistant", content: "", by };
  // What was not answered is not told again: many models take turns, strictly.
  const before = turns.value.filter((t, i, all) => (t.role === "user" ? all[i + 1]?.content : t.content));
  following.on = true; // one wants to see what one says, and what comes of it
  batch(() => {
    draft.value = "";
    running.value = stop;
    turns.value = [...turns.value, mine, turn];
  });
  const messages: Said[] = [...before, mine].map(({ role, content }) => ({ role, content }));
  if (system.value.trim()) messages.unshift({ role: "system", content: system.value.trim() });
  const body: Record<string, unknown> = { messages };
  if (model.value) body["model"] = model.value;
  if (limit.value) body["max_tokens"] = Number(limit.value);

  const answer = new Answer(performance.now());
  let frame = 0;
  const show = (more: Partial<Turn> = {}) => {
    cancelAnimationFrame(frame);
    frame = 0;
    const old = turn;
    turn = { ...turn, content: answer.content, thinking: answer.thinking || undefined, stats: answer.stats(), ...more };
    turns.value = turns.value.map((t) => (t === old ? turn : t));
  };
  let end: Partial<Turn> = {};
  try {
    await converse(`${target}/v1/chat/completions`, body, stop.signal, answer, () => (frame ||= requestAnimationFrame(() => show())));
    announced.value = `${by} has answered: ${answer.content.slice(0, 300)}`;
  } catch (err) {
    end = stop.signal.aborted ? { stopped: true } : { problem: say(err) };
  }
  batch(() => {
    running.value = undefined;
    show(end);
  });
  document.getElementById("chat-input")?.focus();
}

function Composer({ target, by }: { target: string; by: string }) {
  const busy = running.value !== undefined;
  const why = target === "" ? "No worker is online to talk to." : undefined;
  const submit = (e: TargetedEvent) => {
    e.preventDefault();
    void sendDraft(target, by);
  };
  return (
    <form class="composer" onSubmit={submit} aria-label="Say something">
      {why && (
        <p class="quiet" data-testid="talk-none">
          {why} <a href={link("spawn")}>Start one</a>.
        </p>
      )}
      <div class="composer-row">
        <textarea
          id="chat-input"
          data-testid="chat-input"
          aria-label={by ? `Message to ${by}` : "Message"}
          placeholder="Enter sends, Shift and Enter begin a new line"
          rows={2}
          value={draft.value}
          onInput={(e) => (draft.value = e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === "Enter" && !e.shiftKey && !e.isComposing) submit(e);
          }}
        />
        <div class="buttons">
          {busy ? (
            <Button act={() => running.value?.abort()} kind="danger" test="chat-stop">
              Stop
            </Button>
          ) : (
            <button type="submit" class="button main" data-testid="chat-send" aria-disabled={why !== undefined || draft.value.trim() === "" || undefined}>
              Send
            </button>
          )}
          {turns.value.length > 0 && !busy && (
            <Button act={() => (turns.value = [])} test="chat-clear" label="Clear this conversation">
              Clear
            </Button>
          )}
        </div>
      </div>
    </form>
  );
}
