import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app.tsx";
import { keepFocus } from "./focus.ts";
import { startLive } from "./live.ts";
import { announced, notify } from "./parts.tsx";
import { plural } from "./format.ts";
import { startSlot } from "./slot.ts";
import { store, tick } from "./store.ts";
import { restore } from "./talks.ts";
import "./settings.ts"; // the theme, before anything is drawn
import "./style/base.css";
import "./style/parts.css";
import "./style/cluster.css";
import "./style/panel.css";
import "./style/pages.css";

store.announce = (news) => {
  announced.value =
    news.length > 3
      ? `${plural(news.length, "change")} in the cluster`
      : news.map((h) => `${h.id ?? h.key ?? ""} ${h.what}: ${h.text ?? ""}`).join("; ");
};

function start(): void {
  const root = document.getElementById("app");
  if (!root) return;
  restore();
  render(<App />, root);
  keepFocus(root);
  startLive(store);
  startSlot();
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
}

// A defect in one view is told, and leaves the rest as it was.
addEventListener("unhandledrejection", (e) => notify(`The page has a defect: ${String(e.reason)}`, "bad"));
addEventListener("error", (e) => {
  if (e.error) notify(`The page has a defect: ${e.message}`, "bad");
});

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();

// What tests measure with.
effect(() => {
  document.documentElement.dataset["shown"] = String(store.shown.value.components.size);
});
