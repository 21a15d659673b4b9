// The frame of the page: where one is, how the connection is, and what is wrong.

import { useEffect } from "preact/hooks";
import { Cluster } from "./cluster.tsx";
import { Events } from "./events.tsx";
import { clock, day, duration, when } from "./format.ts";
import { noAnswer } from "./http.ts";
import { connection } from "./live.ts";
import { close, Panel } from "./panel.tsx";
import { Announcer, Button, Dialog, Guard, Notes, question, Status } from "./parts.tsx";
import { kindPages, link, route } from "./router.ts";
import { theme, themes } from "./settings.ts";
import { Spawn } from "./spawn.tsx";
import { now, registryState, store } from "./store.ts";
import { query } from "./table.tsx";
import { Talk, talkLink } from "./talk.tsx";
import { covering } from "./window.ts";

const pages = [
  { page: "cluster", name: "Cluster" },
  { page: "spawn", name: "Spawn" },
  { page: "talk", name: "Talk" },
  { page: "events", name: "Events" },
];

export function App() {
  const { page, id } = route.value;
  const panel = kindPages.includes(page);
  const covered = panel && covering.value;
  useEffect(() => {
    document.title = `${panel ? id : (pages.find((p) => p.page === page)?.name ?? "Cluster")} – rbee`;
  }, [page, id]);
  useEffect(() => {
    addEventListener("keydown", shortcuts);
    return () => removeEventListener("keydown", shortcuts);
  }, []);
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Header page={panel ? "cluster" : page} />
      {!covered && <Banners />}
      <main id="main" tabIndex={-1} class={panel ? "with-panel" : ""} inert={covered}>
        <Guard name={page}>
          {page === "spawn" ? <Spawn /> : page === "talk" ? <Talk /> : page === "events" ? <Events /> : <Cluster />}
        </Guard>
      </main>
      {panel && (
        <Guard name={`${page} ${id}`}>
          <Panel kind={page} id={id}>
            {covered && <Banners />}
          </Panel>
        </Guard>
      )}
      {page !== "talk" && <Footer />}
      <Notes />
      <Announcer />
      <Dialog />
    </>
  );
}

// The hash is the route's, so that the skip link has to move the focus itself.
function skip(e: Event): void {
  e.preventDefault();
  document.getElementById("main")?.focus();
}

function shortcuts(e: KeyboardEvent): void {
  if (e.ctrlKey || e.metaKey || e.altKey || question.value) return;
  const typing = e.target instanceof HTMLElement && e.target.matches("input, textarea, select");
  if (e.key === "/" && !typing) {
    const filter = document.querySelector<HTMLInputElement>("main input[type=search]");
    if (!filter || filter.closest("[inert]")) return;
    e.preventDefault();
    filter.focus();
    filter.select();
  }
  if (e.key === "Escape" && !typing && kindPages.includes(route.value.page)) close();
}

function Header({ page }: { page: string }) {
  return (
    <header class="top">
      <a class="brand" href={link("cluster")} aria-label="rbee, to the cluster">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path class="hex" d="M16 2 28 9v14l-12 7L4 23V9z" />
          <path class="stripes" d="M7 13h18M7 19h18" />
        </svg>
        rbee
      </a>
      <nav aria-label="Pages">
        {pages.map((p) => (
          <a key={p.page} href={p.page === "talk" ? talkLink() : link(p.page, "", p.page === "cluster" ? { q: query.value } : {})} aria-current={p.page === page ? "page" : undefined} data-testid={`nav-${p.page}`}>
            {p.name}
          </a>
        ))}
      </nav>
      <div class={`top-end ${store.paused.value ? "paused" : ""}`}>
        <Resume />
        <ConnectionState />
        <ThemeToggle />
      </div>
    </header>
  );
}

function ConnectionState() {
  const c = connection.value;
  const r = registryState.value;
  const [tone, word] =
    c.state === "lost" ? (["bad", c.refused === 401 ? "logged out" : "reconnecting"] as const)
    : c.state === "connecting" ? (["busy", "connecting"] as const)
    : store.paused.value ? (["warn", "paused"] as const)
    : r.state === "connected" || r.state === "none" ? (["good", "live"] as const)
    : r.state === "unknown" ? (["busy", "connecting"] as const)
    : (["warn", "registry offline"] as const);
  return (
    <div class="connection" role="status" aria-label="Connection" data-testid="connection" data-state={c.state} data-registry={r.state}>
      <Status tone={tone} word={word} />
    </div>
  );
}

// The button goes with the pause, so that the focus has to go elsewhere.
function resume(): void {
  store.pause(false);
  document.querySelector<HTMLElement>(".top [aria-current]")?.focus();
}

// Resume ends a pause, on whichever page one notices it.
function Resume() {
  if (!store.paused.value) return null;
  return (
    <Button act={resume} label="Resume: show changes again" test="resume">
      <span class="sign" aria-hidden="true">▶</span>
      <span class="word">Resume</span>
    </Button>
  );
}

function ThemeToggle() {
  const t = theme.value;
  const next = themes[(themes.indexOf(t) + 1) % themes.length] ?? "auto";
  const names = { auto: "as the system has it", light: "light", dark: "dark" };
  return (
    <button type="button" class="button quiet theme" aria-label={`Colours: ${names[t]}. Change to ${names[next]}`} title={`Colours: ${names[t]}`} data-testid="theme" data-theme-now={t} onClick={() => (theme.value = next)}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {t === "light" ? (
          <>
            <circle cx="8" cy="8" r="3.2" class="fill" />
            <path class="stroke" d="M8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.4 1.4M11.6 11.6 13 13M13 3l-1.4 1.4M4.4 11.6 3 13" />
          </>
        ) : t === "dark" ? (
          <path class="fill" d="M13.5 10.2A6 6 0 0 1 5.8 2.5a6 6 0 1 0 7.7 7.7z" />
        ) : (
          <>
            <circle cx="8" cy="8" r="5.5" class="stroke" />
            <path class="fill" d="M8 2.5a5.5 5.5 0 0 1 0 11z" />
          </>
        )}
      </svg>
    </button>
  );
}

function Banners() {
  const c = connection.value;
  const r = registryState.value;
  return (
    <div role="status" aria-label="Trouble" class="banners">
      {c.state === "lost" && (c.refused === 401 ? <LoggedOut /> : <Lost why={c.why} refused={c.refused} retryAt={c.retryAt} />)}
      {c.state !== "lost" && r.state === "away" && (
        <div class="banner warn" data-testid="banner-registry" data-state={r.state}>
          <strong>The registry{r.url ? ` at ${r.url.replace(/^https?:\/\//, "")}` : ""} does not answer.</strong>{" "}
          {when(r.as_of) !== undefined && `Showing what was known at ${`${day(r.as_of)} ${clock(r.as_of)}`.trim()}.`}
          {r.cause && <Reason of={r.cause} />}
        </div>
      )}
    </div>
  );
}

function Lost({ why, refused, retryAt }: { why?: string; refused?: number; retryAt?: number }) {
  now.value; // which ticks; retryAt is by this browser's clock
  const wait = retryAt === undefined ? 0 : retryAt - Date.now();
  return (
    <div class="banner bad" data-testid="banner-lost" data-refused={refused}>
      <strong>rbee-gui {refused ? "does not let this page in" : "does not answer"}.</strong> {store.whole.value ? "What is shown is the last that was known. " : ""}
      <span aria-hidden="true">{wait > 1000 ? `Trying again in ${duration(wait)}.` : "Trying again."}</span>
      {why && why !== noAnswer && <Reason of={why} />}
    </div>
  );
}

// LoggedOut: the token is another one now. The page itself, asked for anew, takes it.
function LoggedOut() {
  return (
    <p class="banner bad" data-testid="banner-login">
      <strong>rbee-gui wants its token again.</strong> {store.whole.value ? "What is shown is the last that was known. " : ""}
      <a class="button" href="/" data-testid="login">
        Log in
      </a>
    </p>
  );
}

function Reason({ of }: { of: string }) {
  return (
    <details class="reason">
      <summary>Details</summary>
      {of}
    </details>
  );
}

function Footer() {
  const h = store.hello.value;
  return (
    <footer>
      <span>rbee-gui {h.version ?? ""}{h.hostname ? ` on ${h.hostname}` : ""}</span>
      <span class="quiet">Keys: / filter, arrows through rows, Escape closes</span>
    </footer>
  );
}
