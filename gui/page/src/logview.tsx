// The log of a worker, as it grows, and what can be done with it.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { TargetedKeyboardEvent } from "preact";
import { clock, plural } from "./format.ts";
import { say } from "./http.ts";
import { keptLines, Lives, plain, Seam, tail } from "./loglines.ts";
import { Screen } from "./logscreen.ts";
import { Button, notify } from "./parts.tsx";
import { logHeight, logSize, logSizes, logWrap } from "./settings.ts";
import { slot } from "./slot.ts";
import { follow, gather, poll, type Message } from "./sse.ts";
import { json, logLine, type LogLine } from "./wire.ts";
import { useWhileVisible } from "./visible.ts";

type State = "opening" | "following" | "lost" | "ended" | "refused";

// life names one life of the worker: when it changes, there is a divider, and the old
// lines stay. started is when that began which there is as the log is opened.
export function LogView({ url, id, life, started }: { url: string; id: string; life: string; started?: string }) {
  const state = useSignal<State>("opening");
  const why = useSignal("");
  const waiting = useSignal(0);
  const kept = useSignal(0);
  const held = useSignal(false);
  const again = useSignal(0);
  const box = useRef<HTMLDivElement>(null);
  const ours = useRef<{ screen: Screen; seam: Seam; lives: Lives; life: string; over?: number }>(undefined); // over: which reading came to the end
  ours.current ??= { screen: new Screen(waiting, kept), seam: new Seam(), lives: new Lives(started), life };
  const { screen, seam, lives } = ours.current;

  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const detach = screen.attach(el);
    const look = () => (held.value = screen.held);
    el.addEventListener("scroll", look, { passive: true });
    document.addEventListener("selectionchange", look);
    if (logHeight.peek() > 0) el.style.height = `${logHeight.peek()}px`;
    // Only a drag of the corner writes a height into the element's style.
    const sized = new ResizeObserver(() => {
      const px = parseInt(el.style.height, 10);
      if (px > 0 && px !== logHeight.peek()) logHeight.value = px;
      if (!screen.held) screen.bottom();
    });
    sized.observe(el);
    return () => {
      detach();
      el.removeEventListener("scroll", look);
      document.removeEventListener("selectionchange", look);
      sized.disconnect();
    };
  }, []);

  useEffect(() => {
    const k = ours.current;
    if (!k || life === k.life) return;
    if (life !== "" && k.life !== "") screen.add({ divider: `restarted at ${clock(new Date().toISOString())}` });
    if (life === "") return; // the log tells itself that it has ended
    k.life = life;
    if (state.peek() === "ended" || state.peek() === "refused") again.value++;
  }, [life]);

  useEffect(() => screen.resized(), [logWrap.value, logSize.value]);

  const gone = life === "";
  const streams = slot.ours.value;
  useWhileVisible(
    (signal) => {
      const k = ours.current;
      if (!k || (k.over === again.peek() && gone)) return; // all of it is here
      if (state.peek() !== "following") state.value = "opening";
      const opened = k.life;
      const reader: Reader = {
        url,
        signal,
        opened: () => {
          seam.begin();
          state.value = "following";
        },
        lost: (reason) => {
          state.value = "lost";
          why.value = reason;
        },
        take: (l) => {
          const fresh = seam.fresh(l);
          if (fresh === "gap") screen.add({ divider: "some lines are missing here" });
          if (fresh && lives.begins(l)) screen.add({ divider: `started at ${clock(started)}` });
          if (fresh) screen.add(l);
          return fresh !== false;
        },
        ended: () => {
          state.value = "ended";
          // That of a life before this one, which was told already: there is more.
          if (opened !== ours.current?.life) {
            again.value++;
            return;
          }
          k.over = again.peek();
          screen.add({ divider: `the worker has ended at ${clock(new Date().toISOString())}` });
        },
      };
      const read = streams ? stream(reader) : look(reader, seam, gone);
      read.catch((err) => {
        state.value = "refused";
        why.value = say(err);
      });
    },
    [url, again.value, streams, !streams && gone],
  );

  const size = (step: number) => {
    const at = logSizes.indexOf(logSize.value as (typeof logSizes)[number]);
    logSize.value = logSizes[Math.max(0, Math.min(logSizes.length - 1, at + step))] ?? 12;
  };
  const pause = () => {
    if (screen.held) screen.resume();
    else screen.hold();
    held.value = screen.held;
  };
  return (
    <section class="log" aria-labelledby="log-title">
      <div class="log-bar">
        <h3 id="log-title">Log</h3>
        <span class="quiet" data-testid="log-state">
          {logState(state.value, why.value, held.value, waiting.value)}
        </span>
        <div class="buttons end">
          {state.value === "ended" || state.value === "refused" ? (
            <Button act={() => again.value++} test="log-again">
              Read again
            </Button>
          ) : (
            <Button act={pause} pressed={held.value} test="log-pause" label={held.value ? undefined : "Pause the log"}>
              {held.value ? `Follow${waiting.value ? ` (${waiting.value.toLocaleString("en")} new)` : ""}` : "Pause"}
            </Button>
          )}
          <Button act={() => void copy(plain(screen.entries()))} label="Copy the log, all lines that the page has" test="log-copy">
            Copy
          </Button>
          <Button act={() => download(`${id}.log`, plain(screen.entries()))} label="Download the log, all lines that the page has" test="log-download">
            Download
          </Button>
          <Button act={() => (logWrap.value = !logWrap.value)} pressed={logWrap.value} label="Wrap long lines" test="log-wrap">
            Wrap
          </Button>
          <Button act={() => size(-1)} label="A−, smaller text" test="log-smaller">
            A−
          </Button>
          <Button act={() => size(1)} label="A+, larger text" test="log-larger">
            A+
          </Button>
        </div>
      </div>
      <div
        ref={box}
        class={`log-lines size-${logSize.value} ${logWrap.value ? "wrap" : ""}`}
        role="log"
        aria-live="off"
        aria-label={`Log of ${id}`}
        tabIndex={0}
        onKeyDown={selectAll}
        data-testid="log-lines"
        data-kept={kept.value}
      />
    </section>
  );
}

// Reader is told of a log by one of two: stream holds a connection, look does not.
interface Reader {
  url: string;
  signal: AbortSignal;
  opened: () => void; // lines come, from some that may be known
  lost: (why: string) => void;
  take: (l: LogLine) => boolean; // whether it is new
  ended: () => void;
}

const lineOf = (m: Message) => (m.event === "message" ? logLine(json(m.data)) : undefined);

function stream(r: Reader): Promise<void> {
  return follow({
    url: `${r.url}?follow=true&tail=${tail}`,
    signal: r.signal,
    opened: r.opened,
    lost: r.lost,
    each: (m) => {
      if (m.event === "end") {
        r.ended();
        return "end";
      }
      const l = lineOf(m);
      if (l) r.take(l);
      return undefined;
    },
  });
}

// look asks for the last lines every second, of a worker that is gone once: for more of
// them when more came the last time, and for all when some are missing.
function look(r: Reader, seam: Seam, gone: boolean): Promise<void> {
  let count = tail;
  const last = async (n: number) => (await gather(`${r.url}?tail=${n}`, r.signal)).flatMap((m) => lineOf(m) ?? []);
  const ask = async () => {
    let lines = await last(count);
    if (count < keptLines && seam.misses(lines[0])) lines = await last(keptLines);
    r.opened();
    const fresh = lines.filter((l) => r.take(l)).length;
    count = Math.min(keptLines, Math.max(50, 3 * fresh));
    if (!gone) return undefined;
    r.ended();
    return "end";
  };
  return poll({ signal: r.signal, every: 1_000, ask, lost: r.lost });
}

// selectAll is Ctrl+A in the log: all of it, and nothing else.
function selectAll(e: TargetedKeyboardEvent<HTMLElement>): void {
  if (e.key !== "a" || !(e.ctrlKey || e.metaKey)) return;
  e.preventDefault();
  getSelection()?.selectAllChildren(e.currentTarget);
}

async function copy(text: string): Promise<void> {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else if (!copyPlainly(text)) throw new Error("the browser does not let it");
    notify(`Copied ${plural(text.split("\n").length - 1, "line")}.`, "good");
  } catch (err) {
    notify(`copy the log: ${say(err)}`, "bad");
  }
}

// copyPlainly is for pages over plain HTTP, which have no clipboard.
function copyPlainly(text: string): boolean {
  const from = document.activeElement;
  const selection = getSelection();
  const range = selection?.rangeCount ? selection.getRangeAt(0) : undefined; // which holds the log
  const field = document.createElement("textarea");
  field.className = "unseen";
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (from instanceof HTMLElement) from.focus({ preventScroll: true });
  if (range) {
    selection?.removeAllRanges();
    selection?.addRange(range);
  }
  return done;
}

function download(name: string, text: string): void {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000);
}

function logState(state: State, why: string, held: boolean, waiting: number): string {
  switch (state) {
    case "opening":
      return "opening";
    case "following":
      return held ? `paused${waiting ? `, ${waiting.toLocaleString("en")} new lines` : ""}` : "following";
    case "lost":
      return `interrupted: ${why}; trying again`;
    case "ended":
      return "the worker has ended";
    case "refused":
      return why;
  }
}
