// What happened, newest first.

import { computed, signal } from "@preact/signals";
import { clock, day, plural } from "./format.ts";
import { memo } from "./memo.ts";
import { Status } from "./parts.tsx";
import { linkTo } from "./router.ts";
import { happeningTone } from "./status.ts";
import { store } from "./store.ts";
import { PauseButton } from "./table.tsx";
import type { Happening } from "./wire.ts";

const words = signal("");
const what = signal("");
const kinds = ["started", "registered", "lost", "back", "restarted", "updated", "left", "expired"];

const listed = computed(() => {
  const parts = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  return store.shown.value.happenings.filter((h) => {
    if (what.value && h.what !== what.value) return false;
    if (parts.length === 0) return true;
    const hay = `${h.what} ${h.kind ?? ""} ${h.id ?? ""} ${h.text ?? ""}`.toLowerCase();
    return parts.every((p) => hay.includes(p));
  });
});

export function Events() {
  const all = store.shown.value.happenings;
  const list = listed.value;
  return (
    <div class="events">
      <h1>Events</h1>
      <div class="toolbar">
        <input type="search" class="filter" aria-label="Filter the events" placeholder="Filter" data-testid="events-filter" autocomplete="off" spellcheck={false} value={words.value} onInput={(e) => (words.value = e.currentTarget.value)} />
        <label>
          <span class="unseen">What happened</span>
          <select value={what.value} data-testid="events-what" onChange={(e) => (what.value = e.currentTarget.value)}>
            <option value="">Everything</option>
            {kinds.map((k) => (
              <option key={k} value={k}>
                {k}
              </option>
            ))}
          </select>
        </label>
        <span class="quiet" role="status" aria-label="Events shown" data-testid="events-count">
          {list.length === all.length ? plural(all.length, "event") : `${list.length} of ${plural(all.length, "event")}`}
        </span>
        <div class="buttons end">
          <PauseButton />
        </div>
      </div>
      {list.length === 0 ? (
        <p class="quiet empty">{all.length === 0 ? "Nothing has happened since rbee-gui started." : "Nothing matches."}</p>
      ) : (
        <ol class="happenings card" aria-label="Events, newest first" data-testid="events">
          {list.map((h) => (
            <Item key={`${h.time} ${h.key} ${h.what} ${h.text}`} h={h} />
          ))}
        </ol>
      )}
    </div>
  );
}

const Item = memo(function Item({ h }: { h: Happening }) {
  const date = day(h.time);
  return (
    <li data-testid="event" data-what={h.what} data-key={h.key}>
      <time dateTime={h.time} title={h.time}>
        {date ? `${date} ` : ""}
        {clock(h.time)}
      </time>
      <Status tone={happeningTone(h.what, h.status)} word={h.what || "event"} />
      <span class="event-who">{h.id && h.kind ? <a href={linkTo({ kind: h.kind, id: h.id })}>{h.id}</a> : (h.key ?? "")}</span>
      <span class="event-text">{h.text ?? ""}</span>
    </li>
  );
});
