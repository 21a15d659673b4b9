// Small things that all views have in common.

import { signal } from "@preact/signals";
import { type ComponentChildren, Component as View, type JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { duration, none, when } from "./format.ts";
import { isHeard, type Tone } from "./status.ts";
import { now, registryState } from "./store.ts";
import type { Component } from "./wire.ts";

const shapes: Record<Tone, JSX.Element> = {
  good: <circle cx="6" cy="6" r="4.5" class="fill" />,
  busy: <path d="M6 1.5a4.5 4.5 0 1 1-4.5 4.5" class="stroke" />,
  warn: <path d="M6 1 11.3 10.5H.7z" class="fill" />,
  bad: <path d="M2 2l8 8M10 2l-8 8" class="stroke" />,
  off: <circle cx="6" cy="6" r="4" class="stroke thin" />,
};

export function Shape({ tone }: { tone: Tone }) {
  return (
    <svg class={`shape ${tone}`} viewBox="0 0 12 12" aria-hidden="true">
      {shapes[tone]}
    </svg>
  );
}

export function Status({ tone, word }: { tone: Tone; word: string }) {
  return (
    <span class={`status ${tone}`} data-testid="status">
      <Shape tone={tone} />
      <span class="word">{word}</span>
    </span>
  );
}

// Ago is how long ago something was, and counts on by itself.
export function Ago({ time }: { time?: string }) {
  const t = when(time);
  return <>{t === undefined ? none : duration(now.value - t)}</>;
}

// Seen is when the registry last heard of a component: of one that beats it says no more
// than that it does.
export function Seen({ c, ago }: { c: Component; ago?: string }) {
  const r = registryState.value;
  const heard = isHeard(c);
  if (heard && r.state === "connected") return <>now</>;
  const time = heard ? r.as_of : c.last_seen;
  return <><Ago time={time} />{when(time) === undefined ? "" : ago}</>;
}

// Bar is full at 1; with no value it says only that something goes on.
export function Bar({ value, label, tone }: { value?: number; label: string; tone?: Tone }) {
  const part = value === undefined ? undefined : Math.max(0, Math.min(1, value));
  return (
    <div
      class={`bar ${tone ?? ""} ${part === undefined ? "unsure" : ""}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={part === undefined ? undefined : Math.round(part * 100)}
    >
      <span style={{ width: part === undefined ? "" : `${(part * 100).toFixed(1)}%` }} />
    </div>
  );
}

// Meter is how much of something is taken.
export function Meter({ value, label, tone }: { value: number; label: string; tone?: Tone }) {
  return (
    <div
      class={`bar meter ${tone ?? ""}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(Math.max(0, Math.min(1, value)) * 100)}
    >
      <span style={{ width: `${(Math.max(0, Math.min(1, value)) * 100).toFixed(1)}%` }} />
    </div>
  );
}

// Button that stays reachable when it can't be used: a press says why.
export function Button(p: {
  children: ComponentChildren;
  act: () => void;
  why?: string; // why it can't be used; none when it can
  label?: string; // where what is written on it does not say what of
  kind?: "main" | "danger" | "quiet";
  test?: string;
  pressed?: boolean;
}) {
  const off = p.why !== undefined;
  return (
    <button
      type="button"
      class={`button ${p.kind ?? ""}`}
      aria-disabled={off || undefined}
      aria-label={p.label ? (off ? `${p.label}: not possible. ${p.why}` : p.label) : undefined}
      aria-pressed={p.pressed}
      title={p.why}
      data-testid={p.test}
      onClick={() => (off ? notify(p.why ?? "", "info") : p.act())}
    >
      {p.children}
    </button>
  );
}

// Notes are shown for a while, and read out.

export interface Note {
  n: number;
  text: string;
  kind: "info" | "good" | "bad";
}

export const notes = signal<readonly Note[]>([]);
let noted = 0;

export function notify(text: string, kind: Note["kind"] = "info"): void {
  const note = { n: ++noted, text, kind };
  notes.value = [...notes.value.filter((x) => x.text !== text).slice(-3), note];
  setTimeout(() => dismiss(note.n), kind === "bad" ? 20_000 : 6_000);
}

export function dismiss(n: number): void {
  notes.value = notes.value.filter((x) => x.n !== n);
}

export function Notes() {
  return (
    <div class="notes" role="status" aria-label="Messages" data-testid="notes">
      {notes.value.map((n) => (
        <div class={`note ${n.kind}`} key={n.n}>
          <span>{n.text}</span>
          <button type="button" class="button quiet" aria-label="Dismiss the message" onClick={() => dismiss(n.n)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}

// announced is read out and not shown: changes that those who see notice anyway.
export const announced = signal("");

export function Announcer() {
  return (
    <div class="unseen" role="status" aria-label="Changes" data-testid="announcer">
      {announced.value}
    </div>
  );
}

// Dialogs ask before something ends.

export interface Question {
  title: string;
  body: ComponentChildren;
  yes: string;
  act: () => void;
}

export const question = signal<Question | undefined>(undefined);

export function Dialog() {
  const ref = useRef<HTMLDialogElement>(null);
  const q = question.value;
  useEffect(() => {
    const d = ref.current;
    if (!d) return;
    if (q && !d.open) d.showModal();
    if (!q && d.open) d.close();
  }, [q]);
  const answer = (yes: boolean) => {
    question.value = undefined;
    if (yes) q?.act();
  };
  return (
    <dialog ref={ref} class="dialog" aria-labelledby="dialog-title" data-testid="confirm" onClose={() => (question.value = undefined)}>
      {q && (
        <>
          <h2 id="dialog-title">{q.title}</h2>
          <div class="dialog-body">{q.body}</div>
          <div class="buttons end">
            <button type="button" class="button" data-testid="confirm-no" onClick={() => answer(false)}>
              Cancel
            </button>
            <button type="button" class="button danger" data-testid="confirm-yes" onClick={() => answer(true)}>
              {q.yes}
            </button>
          </div>
        </>
      )}
    </dialog>
  );
}

// Guard keeps a defect in one view from blanking the others.
export class Guard extends View<{ name: string; children: ComponentChildren }, { failed?: string }> {
  override state: { failed?: string } = {};
  override componentDidCatch(err: unknown): void {
    console.error(err);
    this.setState({ failed: err instanceof Error ? err.message : String(err) });
  }
  override componentDidUpdate(old: { name: string }): void {
    if (old.name !== this.props.name && this.state.failed !== undefined) this.setState({ failed: undefined });
  }
  render() {
    if (this.state.failed === undefined) return <>{this.props.children}</>;
    return (
      <div class="card" role="alert" data-testid="defect">
        <p class="bad-text">This view has a defect: {this.state.failed}</p>
        <button type="button" class="button" onClick={() => this.setState({ failed: undefined })}>
          Show it again
        </button>
      </div>
    );
  }
}
