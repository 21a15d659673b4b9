// Which rows of a long table are in view. Only these are in the document; two spacers
// have the height of the others, so that the page scrolls as if all were there.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { RefObject } from "preact";

export interface Range {
  from: number;
  to: number; // not included
}

const margin = 12; // rows beyond the edges, which the keyboard can reach

// range is the rows in view, were there any number of them.
export function range(top: number, view: number, row: number): Range {
  const from = Math.max(0, Math.floor(-top / row) - margin);
  return { from, to: Math.max(from, Math.ceil((view - top) / row) + margin) };
}

// clamp is what of it there is. Rows that are added come into view without a measurement.
export function clamp(r: Range, count: number): Range {
  const from = Math.min(r.from, Math.max(0, count - 1));
  return { from, to: Math.max(from, Math.min(r.to, count)) };
}

// pieces are the ranges that are drawn: the one in view, and the row with the focus where
// that is elsewhere.
export function pieces(from: number, to: number, focused: number, count: number): Range[] {
  const view = { from, to };
  const list = focused < 0 || (focused >= from && focused < to) ? [view] : [view, { from: focused, to: focused + 1 }];
  list.sort((a, b) => a.from - b.from);
  return [...list, { from: count, to: count }];
}

const narrow = matchMedia("(max-width: 760px)");
export const rowHeight = signal(narrow.matches ? 92 : 40); // as in the style sheet
narrow.addEventListener("change", () => (rowHeight.value = narrow.matches ? 92 : 40));

// covering is whether a panel takes the whole page, for there is no room beside it.
const small = matchMedia("(max-width: 1099px)"); // as in the style sheet
export const covering = signal(small.matches);
small.addEventListener("change", () => (covering.value = small.matches));

const shown = signal<Range>({ from: 0, to: 40 });

// useRange keeps the range of a table body that scrolls with the page.
export function useRange(body: RefObject<HTMLElement | null>, count: number): Range {
  const row = rowHeight.value;
  useEffect(() => {
    let frame = 0;
    const measure = () => {
      frame = 0;
      const el = body.current;
      if (!el) return;
      const next = range(el.getBoundingClientRect().top, innerHeight, row);
      const now = shown.peek();
      if (next.from !== now.from || next.to !== now.to) shown.value = next;
    };
    const soon = () => (frame ||= requestAnimationFrame(measure));
    measure();
    // What is above the table may grow; then it moves without a scroll.
    const sized = new ResizeObserver(soon);
    sized.observe(document.body);
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      sized.disconnect();
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [count, row]);
  return clamp(shown.value, count);
}
