// The cluster as a picture: registry and queen above, below them each hive with its
// workers, as far as the filter leaves them. A hive with a few workers names them; one with
// many shows a field of shapes.

import { computed, effect, signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { modelName, none, plural } from "./format.ts";
import { groups, matching, type Group } from "./list.ts";
import { memo } from "./memo.ts";
import { Shape, Status } from "./parts.tsx";
import { link, linkTo } from "./router.ts";
import { registryWord, statusOf, tone } from "./status.ts";
import { components, queen, registryState } from "./store.ts";
import { query } from "./table.tsx";
import type { Component } from "./wire.ts";

const named = 6; // workers of one hive that have room for a name
const most = 120; // shapes of one hive

const grouped = computed(() => groups(components.value.values()));

// The words of the filter, once they are written: until then the table comes first.
const followed = signal(query.peek().trim());
effect(() => {
  const words = query.value.trim();
  const timer = setTimeout(() => (followed.value = words), 150);
  return () => clearTimeout(timer);
});

// It has no properties: it is drawn again for what it reads, not for every route.
export const Picture = memo(function Picture() {
  const all = [...components.value.values()];
  const words = followed.value;
  const whole = grouped.value;
  const list = words === "" ? whole : matching(whole, words);
  // While one writes into the filter, which is below, that stays where it is.
  const box = useRef<HTMLDivElement>(null);
  const before = useRef({ words, height: 0 });
  if (before.current.words !== words) before.current = { words, height: words === "" ? 0 : (box.current?.offsetHeight ?? 0) };
  const { height } = before.current;
  useLayoutEffect(() => {
    if (box.current) box.current.style.minHeight = height === 0 ? "" : `min(${height}px, var(--machines))`;
  }, [height]);
  return (
    <section class="picture card" aria-label="Picture of the cluster" data-testid="picture">
      <div class="tops">
        <RegistryNode />
        <QueenNode />
        {all
          .filter((c) => c.kind === "gui")
          .slice(0, 3)
          .map((c) => (
            <Node key={c.key} c={c} title="GUI" />
          ))}
      </div>
      {whole.length > 0 && (
        <div class="machines" ref={box}>
          {list.length > 0 ? (
            <div class="groups">
              {list.map((g) => (
                <GroupBox key={g.key} g={g} />
              ))}
            </div>
          ) : (
            <p class="quiet">No worker or hive matches the filter.</p>
          )}
        </div>
      )}
    </section>
  );
});

function RegistryNode() {
  const r = registryState.value;
  if (r.state === "none") {
    return (
      <div class="node absent" data-testid="node-registry" data-status="none">
        <span class="node-title">Registry</span>
        <Status tone="off" word="none" />
        <span class="quiet node-note">this machine alone</span>
      </div>
    );
  }
  return (
    <a class={`node ${tone(r.state)}`} href={link("registry", "registry")} data-testid="node-registry" data-status={r.state}>
      <span class="node-title">Registry</span>
      <Status tone={tone(r.state)} word={registryWord(r.state)} />
      <span class="quiet node-note">{r.url?.replace(/^https?:\/\//, "") ?? ""}</span>
    </a>
  );
}

function QueenNode() {
  const q = queen.value ?? [...components.value.values()].find((c) => c.kind === "queen");
  if (q) return <Node c={q} title="Queen" />;
  return (
    <div class="node absent" data-testid="node-queen" data-status="none">
      <span class="node-title">Queen</span>
      <Status tone="off" word="none" />
      <span class="quiet node-note">all works without one</span>
    </div>
  );
}

function Node({ c, title }: { c: Component; title: string }) {
  return (
    <a class={`node ${tone(statusOf(c))}`} href={linkTo(c)} data-testid={`node-${c.kind}`} data-status={statusOf(c)}>
      <span class="node-title">{title}</span>
      <Status tone={tone(statusOf(c))} word={statusOf(c)} />
      <span class="quiet node-note">{c.hostname ? `${c.hostname}${c.port ? `:${c.port}` : ""}` : c.id}</span>
    </a>
  );
}

function GroupBox({ g }: { g: Group }) {
  const online = g.workers.filter((w) => tone(statusOf(w)) === "good").length;
  const few = g.workers.length <= named;
  return (
    <div class="group" data-testid="group" data-key={g.key}>
      <i class="bus" aria-hidden="true" />
      <div class="group-head">
        {g.hive ? (
          <>
            <a href={linkTo(g.hive)} class="node-title">{g.title}</a>
            <Status tone={tone(statusOf(g.hive))} word={statusOf(g.hive)} />
          </>
        ) : (
          <>
            <span class="node-title">{g.title}</span>
            <span class="quiet">{!g.key.startsWith("hive ") ? "no hive" : registryState.value.state === "none" ? "hive" : "hive not there"}</span>
          </>
        )}
        <a class="quiet group-count" href={link("cluster", "", { q: g.query })}>
          {g.workers.length < g.all ? `${g.workers.length} of ${plural(g.all, "worker")}` : g.all === 0 ? "no workers" : online === g.workers.length ? plural(online, "worker") : `${online} of ${g.workers.length} online`}
        </a>
      </div>
      {g.workers.length > 0 && (
        <div class={few ? "tiles named" : "tiles"}>
          {g.workers.slice(0, most).map((w) => (few ? <NamedTile key={w.key} c={w} /> : <Tile key={w.key} c={w} />))}
          {g.workers.length > most && (
            <a class="quiet" href={link("cluster", "", { q: g.query })}>
              and {g.workers.length - most} more
            </a>
          )}
        </div>
      )}
    </div>
  );
}

const NamedTile = memo(function NamedTile({ c }: { c: Component }) {
  const status = statusOf(c);
  return (
    <a class={`tile ${tone(status)}`} href={linkTo(c)} title={c.model} data-testid="tile" data-key={c.key} data-status={status}>
      <Shape tone={tone(status)} />
      <span class="tile-name">{c.id}</span>
      <span class="quiet tile-note">{tone(status) === "good" ? (c.model ? modelName(c.model) : (c.worker_type ?? none)) : status}</span>
    </a>
  );
});

// Of many, each can be pressed, but the keyboard goes through the table instead.
const Tile = memo(function Tile({ c }: { c: Component }) {
  const status = statusOf(c);
  return (
    <a class={`tile small ${tone(status)}`} href={linkTo(c)} tabIndex={-1} aria-label={`${c.id}, ${status}`} title={`${c.id}: ${status}${c.model ? `, ${modelName(c.model)}` : ""}`} data-testid="tile" data-key={c.key} data-status={status}>
      <Shape tone={tone(status)} />
    </a>
  );
});
