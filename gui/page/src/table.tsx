// All components, sorted and filtered.

import { computed, signal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { memo } from "./memo.ts";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Actions, askStop, doing } from "./actions.tsx";
import { modelName, none, plural } from "./format.ts";
import { arrange, type Column } from "./list.ts";
import { Ago, Button, Seen, Status } from "./parts.tsx";
import { kindPages, link, linkTo, replace, route } from "./router.ts";
import { sortBy, sortDown } from "./settings.ts";
import { mayAct, statusOf, tone } from "./status.ts";
import { components, store } from "./store.ts";
import { pieces, rowHeight, useRange } from "./window.ts";
import type { Component } from "./wire.ts";

const columns: { by: Column; name: string; class: string }[] = [
  { by: "status", name: "Status", class: "c-status" },
  { by: "name", name: "Name", class: "c-name" },
  { by: "kind", name: "Kind", class: "c-kind" },
  { by: "model", name: "Model, engine", class: "c-model" },
  { by: "where", name: "Where", class: "c-where" },
  { by: "age", name: "Age", class: "c-age" },
  { by: "seen", name: "Seen", class: "c-seen" },
  { by: "restarts", name: "Restarts", class: "c-restarts" },
];

export const query = signal(route.peek().query.get("q") ?? "");

const listed = computed(() => arrange(components.value.values(), query.value, sortBy.value as Column, sortDown.value));

export function Table() {
  const all = listed.value;
  const body = useRef<HTMLTableSectionElement>(null);
  const { from, to } = useRange(body, all.length);
  const row = rowHeight.value;
  const focused = held.value;
  const at = focused === "" ? -1 : all.findIndex((c) => c.key === focused);
  useLayoutEffect(arrive);
  useEffect(() => {
    const look = (e: Event) => hold(e, body.current);
    document.addEventListener("focusin", look);
    document.addEventListener("pointerdown", look);
    return () => {
      document.removeEventListener("focusin", look);
      document.removeEventListener("pointerdown", look);
    };
  }, []);
  const { page, id } = route.value;
  const asked = route.value.query.get("q") ?? (page === "cluster" ? "" : undefined);
  useEffect(() => {
    if (asked !== undefined && asked !== query.peek()) query.value = asked;
    else if (asked === undefined && query.peek() !== "") filter(query.peek()); // a panel, opened from what is shown
  }, [asked, page, id]);
  return (
    <section aria-labelledby="table-title" class="components">
      <div class="toolbar">
        <h2 id="table-title">Components</h2>
        <Filter first={all[0]?.key} />
        <span class="quiet" role="status" aria-label="Components shown" data-testid="count">
          {all.length === components.value.size ? plural(all.length, "component") : `${all.length} of ${plural(components.value.size, "component")}`}
        </span>
        <Sorting />
        <div class="buttons end">
          <PauseButton />
          <StopShown list={all} />
        </div>
      </div>
      <table role="table" class="rows" aria-labelledby="table-title" aria-rowcount={all.length + 1} data-testid="components">
        <thead role="rowgroup">
          <tr role="row" aria-rowindex={1}>
            {columns.map((c) => (
              <th key={c.by} role="columnheader" scope="col" class={c.class} aria-sort={sortBy.value === c.by ? (sortDown.value ? "descending" : "ascending") : undefined}>
                <button type="button" class="sort" data-testid={`sort-${c.by}`} onClick={() => sort(c.by)}>
                  {c.name}
                  <span aria-hidden="true" class="arrow">{sortBy.value === c.by ? (sortDown.value ? "↓" : "↑") : ""}</span>
                </button>
              </th>
            ))}
            <th role="columnheader" scope="col" class="c-actions">Actions</th>
          </tr>
        </thead>
        <tbody role="rowgroup" ref={body} onKeyDown={(e) => arrows(e, all)}>
          {pieces(from, to, at, all.length).map((p, i, list) => [
            <Spacer key={`space ${i}`} height={(p.from - (list[i - 1]?.to ?? 0)) * row} />,
            all.slice(p.from, p.to).map((c, n) => <Row key={c.key} c={c} at={p.from + n} busy={doing.value.get(c.key)} />),
          ])}
        </tbody>
      </table>
      {all.length === 0 && components.value.size > 0 && (
        <p class="quiet empty" data-testid="no-match">
          Nothing matches “{query.value}”.{" "}
          <button type="button" class="button" onClick={() => filter("")}>
            Show all
          </button>
        </p>
      )}
    </section>
  );
}

// Spacer has one cell: of columns that are hidden it would make empty ones.
function Spacer({ height }: { height: number }) {
  if (height <= 0) return null;
  return (
    <tr class="spacer" role="presentation" aria-hidden="true">
      <td role="presentation" style={{ height: `${height}px` }} />
    </tr>
  );
}

function sort(by: Column): void {
  if (sortBy.value === by) sortDown.value = !sortDown.value;
  else {
    sortBy.value = by;
    sortDown.value = false;
  }
}

// Sorting is for narrow screens, which have no room for the heads of columns.
function Sorting() {
  return (
    <label class="narrow-only sorting">
      Sort by{" "}
      <select value={sortBy.value} onChange={(e) => sort(e.currentTarget.value as Column)}>
        {columns.map((c) => (
          <option key={c.by} value={c.by}>
            {c.name}
          </option>
        ))}
      </select>
    </label>
  );
}

// filter puts the words into the address, so that what is shown is a link.
export function filter(words: string): void {
  query.value = words;
  const { page, id } = route.value;
  if (page === "cluster" || kindPages.includes(page)) replace(link(page, id, { q: words }));
}

function Filter({ first }: { first?: string }) {
  return (
    <input
      type="search"
      id="filter"
      class="filter"
      aria-label="Filter the components: words, or field:value such as status:offline"
      placeholder="Filter: words, status:offline, hive:box2"
      title="Press / to get here"
      data-testid="filter"
      autocomplete="off"
      spellcheck={false}
      value={query.value}
      onInput={(e) => filter(e.currentTarget.value)}
      onKeyDown={(e) => {
        if (e.key !== "ArrowDown" || first === undefined) return;
        e.preventDefault();
        goTo(first, "");
      }}
    />
  );
}

export function PauseButton() {
  const on = store.paused.value;
  const n = store.waiting.value;
  return (
    <Button act={() => store.pause(!on)} pressed={on} test="pause" label={on ? undefined : "Pause: show no changes for now"}>
      {on ? `Paused${n ? ` (${n} changes)` : ""}` : "Pause"}
    </Button>
  );
}

// StopShown is about what the filter shows and nothing else; the question names it.
function StopShown({ list }: { list: Component[] }) {
  if (query.value.trim() === "") return null;
  const can = list.filter((c) => c.kind === "worker" && mayAct(c) && !doing.value.has(c.key));
  if (can.length < 2) return null;
  return (
    <Button act={() => askStop(can)} kind="danger" test="stop-shown">
      Stop {can.length} shown
    </Button>
  );
}

function rowClass(c: Component): string {
  return `row ${tone(statusOf(c))}`;
}

// Row is drawn again only when its component is another object, or something is done to it.
const Row = memo(function Row({ c, at, busy }: { c: Component; at: number; busy?: string }) {
  const status = busy ?? statusOf(c);
  const where = c.hostname ? `${c.hostname}${c.port ? `:${c.port}` : ""}` : c.port ? `:${c.port}` : none;
  const parent = c.hive ? `hive ${c.hive}` : c.local ? "this machine" : "";
  return (
    <tr class={rowClass(c)} role="row" aria-rowindex={at + 2} data-testid="row" data-key={c.key} data-status={statusOf(c)}>
      <td role="cell" class="c-status">
        <Status tone={tone(status)} word={status} />
      </td>
      <td role="cell" class="c-name">
        <a href={linkTo(c)} title={c.id} data-testid="row-link">
          {c.id}
        </a>
      </td>
      <td role="cell" class="c-kind">{c.kind}{c.worker_type ? <span class="quiet"> {c.worker_type}</span> : null}</td>
      <td role="cell" class="c-model" title={c.model}>
        {c.model ? modelName(c.model) : c.kind === "worker" ? none : ""}
        {c.engine && <span class="quiet"> {c.engine}</span>}
      </td>
      <td role="cell" class="c-where" title={`${where} ${parent}`}>
        {where}
        {parent && <span class="quiet"> {parent}</span>}
      </td>
      <td role="cell" class="c-age"><Ago time={c.started_at ?? c.registered_at} /></td>
      <td role="cell" class="c-seen"><Seen c={c} /></td>
      <td role="cell" class="c-restarts">{c.restarts ?? none}</td>
      <td role="cell" class="c-actions">
        <Actions c={c} row />
      </td>
    </tr>
  );
});

// held is the key of the row that has the focus: it stays in the document wherever the
// page is scrolled to, until the focus is set elsewhere.
const held = signal("");
let inRow: string | undefined; // what of the row has it

function rowOf(e: Event): HTMLElement | null {
  return e.target instanceof HTMLElement ? e.target.closest<HTMLElement>("tr[data-key]") : null;
}

function hold(e: Event, body: HTMLElement | null): void {
  const to = e.target;
  if (!(to instanceof HTMLElement) || to.closest("dialog")) return; // from which it comes back
  if (!body?.contains(to)) held.value = "";
  else if (e.type === "focusin") {
    held.value = rowOf(e)?.dataset["key"] ?? "";
    inRow = to.dataset["testid"];
  }
}

// arrows go from row to row, to the same thing in it.
function arrows(e: TargetedKeyboardEvent<HTMLTableSectionElement>, all: readonly Component[]): void {
  if (e.key !== "ArrowDown" && e.key !== "ArrowUp") return;
  const what = e.target instanceof HTMLElement ? e.target.dataset["testid"] : undefined;
  const key = rowOf(e)?.dataset["key"];
  const next = all[all.findIndex((c) => c.key === key) + (e.key === "ArrowDown" ? 1 : -1)];
  if (!what || key === undefined || !next) return;
  e.preventDefault();
  goTo(next.key, what);
}

// goTo has the focus in a row: on what is called so in it, or on its name.
function goTo(key: string, what: string): void {
  wanted = { key, what };
  held.value = key; // it may have to be drawn first
  arrive();
}

let wanted: { key: string; what: string } | undefined;

// arrive puts the focus where it is to go, or back to where it was: a row that changes its
// place loses it.
function arrive(): void {
  const lost = !wanted && held.peek() !== "" && document.activeElement === document.body;
  const to = lost ? { key: held.peek(), what: inRow ?? "" } : wanted;
  const row = to && document.querySelector<HTMLElement>(`tr[data-key="${CSS.escape(to.key)}"]`);
  if (!row) return;
  wanted = undefined;
  const what = row.querySelector<HTMLElement>(`[data-testid="${to.what}"]`) ?? row.querySelector<HTMLElement>("a");
  what?.focus({ preventScroll: lost });
}
