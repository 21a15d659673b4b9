// Where the keyboard is when what it was on goes: a browser leaves it nowhere, so that the
// next Tab begins at the top. Here it goes to what comes next in the same place.

// keepFocus watches over what is below root from now on.
export function keepFocus(root: HTMLElement): void {
  let last: Element | undefined;
  document.addEventListener("focusin", (e) => (last = e.target instanceof Element ? e.target : undefined));
  // Who leaves by itself is not brought back. Some browsers say so of what goes, too.
  document.addEventListener("focusout", (e) => {
    const from = e.target;
    queueMicrotask(() => {
      if (last === from && last?.isConnected) last = undefined;
    });
  });
  new MutationObserver((records) => {
    if (!last || last.isConnected) return;
    const gone = last;
    last = undefined;
    const at = records.find((r) => [...r.removedNodes].some((n) => n.contains(gone)));
    // With the next frame, so that who knows of a better place comes first.
    requestAnimationFrame(() => {
      if (document.activeElement && document.activeElement !== document.body) return;
      (at && nearest(at, root))?.focus({ preventScroll: true });
    });
  }).observe(root, { childList: true, subtree: true });
}

// nearest is what can have the focus instead: of what came next, of what came before, or
// of what both are in.
function nearest(at: MutationRecord, root: HTMLElement): HTMLElement | undefined {
  if (at.target === root) return document.getElementById("main") ?? undefined;
  for (let n = at.nextSibling; n; n = n.nextSibling) {
    const found = first(n);
    if (found) return found;
  }
  for (let n = at.previousSibling; n; n = n.previousSibling) {
    const found = first(n);
    if (found) return found;
  }
  for (let n: Node | null = at.target; n && n !== root; n = n.parentNode) {
    const found = n instanceof HTMLElement && n.isConnected ? first(n) : undefined;
    if (found) return found;
  }
  return document.getElementById("main") ?? undefined;
}

const stops = "a[href], button, input, select, textarea, summary, [tabindex]";

function first(n: Node): HTMLElement | undefined {
  if (!(n instanceof HTMLElement) || !n.isConnected) return undefined;
  const all = n.matches(stops) ? [n] : n.querySelectorAll<HTMLElement>(stops);
  for (const e of all) if (e.checkVisibility() && !e.closest("[inert]")) return e;
  return undefined;
}
