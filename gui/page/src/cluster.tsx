// The first page: the picture and the table.

import { signal } from "@preact/signals";
import { ask, say } from "./http.ts";
import { spawn } from "./jobs.ts";
import { Button, notify } from "./parts.tsx";
import { Picture } from "./picture.tsx";
import { firstWorker } from "./places.ts";
import { go, link } from "./router.ts";
import { pictureShown } from "./settings.ts";
import { statusOf, tone, type Tone } from "./status.ts";
import { components, store } from "./store.ts";
import { Status } from "./parts.tsx";
import { Table } from "./table.tsx";
import { machine } from "./wire.ts";

export function Cluster() {
  const all = components.value;
  const workers = [...all.values()].filter((c) => c.kind === "worker");
  return (
    <div class="cluster">
      <div class="page-head">
        <h1>Cluster</h1>
        <Summary />
        <div class="buttons end">
          <Button act={() => (pictureShown.value = !pictureShown.value)} kind="quiet" test="picture-toggle">
            {pictureShown.value ? "Hide the picture" : "Show the picture"}
          </Button>
        </div>
      </div>
      {!store.whole.value ? (
        <p class="quiet empty" data-testid="loading">
          Asking rbee-gui what there is.
        </p>
      ) : (
        <>
          {pictureShown.value && <Picture />}
          {workers.length === 0 && <FirstWorker />}
          {all.size > 0 && <Table />}
        </>
      )}
    </div>
  );
}

const words: Record<Tone, string> = { good: "online", busy: "on its way", warn: "unwell", bad: "offline", off: "unknown" };

const said = (t: Tone, n: number) => `${n} ${t === "busy" && n > 1 ? "on their way" : words[t]}`;

function Summary() {
  const counts = new Map<Tone, number>();
  for (const c of components.value.values()) {
    if (c.kind !== "worker") continue;
    const t = tone(statusOf(c));
    counts.set(t, (counts.get(t) ?? 0) + 1);
  }
  if (counts.size === 0) return null;
  return (
    <p class="summary" data-testid="summary">
      <span class="quiet">Workers</span>
      {(["good", "busy", "warn", "bad", "off"] as const).flatMap((t) =>
        counts.get(t) ? [<Status key={t} tone={t} word={said(t, counts.get(t) ?? 0)} />] : [],
      )}
    </p>
  );
}

const starting = signal(false);

async function startFirst(): Promise<void> {
  if (starting.value) return;
  starting.value = true;
  const here = store.hello.value.here;
  try {
    await spawn(here, firstWorker(machine(await ask(`${here}/capabilities`))));
    go(link("spawn"));
  } catch (err) {
    notify(`start a first worker: ${say(err)}`, "bad");
  } finally {
    starting.value = false;
  }
}

function FirstWorker() {
  return (
    <section class="card first" aria-labelledby="first-title" data-testid="empty-cluster">
      <h2 id="first-title">No workers yet</h2>
      <p class="quiet">
        One press starts the largest model on this machine that fits into its memory; where there is none, a small simulation to try things with.
      </p>
      <div class="buttons">
        <button type="button" class="button main" data-testid="first-worker" aria-disabled={starting.value || undefined} onClick={() => void startFirst()}>
          {starting.value ? "Starting" : "Start a first worker"}
        </button>
        <a class="button" href={link("spawn")}>
          Choose what to start
        </a>
      </div>
    </section>
  );
}
