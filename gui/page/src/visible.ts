// Work that is done only while somebody looks: streams that one view needs.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export const visible = signal(!document.hidden);
document.addEventListener("visibilitychange", () => (visible.value = !document.hidden));

// useWhileVisible runs work with a signal that aborts when the tab is hidden, what it
// depends on changes, or the view closes; and runs it again when the tab is shown.
export function useWhileVisible(work: (signal: AbortSignal) => void, needs: readonly unknown[]): void {
  const seen = visible.value;
  useEffect(() => {
    if (!seen) return;
    const stop = new AbortController();
    work(stop.signal);
    return () => stop.abort();
  }, [seen, ...needs]);
}
