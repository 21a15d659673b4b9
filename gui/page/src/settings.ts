// What this browser remembers. A browser that remembers nothing works as well.

import { effect, signal, type Signal } from "@preact/signals";

function remembered<T extends string | number | boolean>(name: string, first: T, allowed?: readonly T[]): Signal<T> {
  const key = `rbee.${name}`;
  let value = first;
  try {
    const old: unknown = JSON.parse(localStorage.getItem(key) ?? "null");
    if (typeof old === typeof first && (!allowed || allowed.includes(old as T))) value = old as T;
  } catch {
    // as if there were nothing
  }
  const s = signal<T>(value);
  effect(() => {
    const text = JSON.stringify(s.value);
    try {
      if (s.value !== first || localStorage.getItem(key) !== null) localStorage.setItem(key, text);
    } catch {
      // it is forgotten when the tab closes
    }
  });
  return s;
}

export type Theme = "auto" | "light" | "dark";
export const themes: readonly Theme[] = ["auto", "light", "dark"];
export const theme = remembered<Theme>("theme", "auto", themes);

export const logWrap = remembered<boolean>("log.wrap", false);
export const logSizes = [11, 12, 13, 15, 18] as const;
export const logSize = remembered<number>("log.size", 12, logSizes);
export const logHeight = remembered<number>("log.height", 0); // px; 0: as the page has it
export const pictureShown = remembered<boolean>("picture", true);
export const sortBy = remembered<string>("sort.by", "name");
export const sortDown = remembered<boolean>("sort.down", false);

// The theme is set before anything is drawn, and follows the toggle from then on.
effect(() => {
  const root = document.documentElement;
  if (theme.value === "auto") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme.value);
});
