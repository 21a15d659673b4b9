// The lines of a log in the document. They are drawn some times a second, in blocks of a
// hundred. The newest thousand lines, and whatever is near what the reader sees, are
// there; the blocks between are empty boxes of the same height, which are filled when
// one scrolls there, or copies them. While something in it is selected nothing is drawn,
// or emptied, so that the selection stays. So a worker that prints thousands of lines a second costs no more
// than what can be seen. The rows are not Preact's: nothing about a line changes once it
// is there.

import type { Signal } from "@preact/signals";
import { parse, type Style } from "./ansi.ts";
import { clock } from "./format.ts";
import { keptLines, Pending, type Entry } from "./loglines.ts";
import type { LogLine } from "./wire.ts";

const blockLines = 100;
const newestBlocks = 10; // that stay filled
const drawPeriod = 100; // ms, at least, from one drawing to the next
const lineHeight = 1.5; // em, as in the style sheet

type Styles = Record<string, Style>; // how the last line of each stream has ended

interface Block {
  el: HTMLElement;
  entries: Entry[];
  before: Styles; // to draw it again
  filled: boolean;
  near: boolean; // the view
}

export class Screen {
  held = false; // the reader has scrolled up, wants a pause, or selects

  private selecting = false; // which is why it is held, and alone

  private readonly pending = new Pending();
  private styles: Styles = {};
  private blocks: Block[] = [];
  private lines = 0;
  private box: HTMLElement | undefined;
  private observer: IntersectionObserver | undefined;
  private frame = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private drawn = -Infinity;
  private top = 0; // where it was scrolled to last

  constructor(
    private readonly waiting: Signal<number>, // lines that are not drawn while it is held
    private readonly kept: Signal<number>,
  ) {}

  // attach draws into the box from now on, until the function that it gives is called.
  attach(box: HTMLElement): () => void {
    this.box = box;
    this.observer = new IntersectionObserver((seen) => this.look(seen), { root: box, rootMargin: "800px 0px" });
    // The reader moves upwards; blocks whose height turns out to be another do not.
    const scrolled = () => {
      const up = box.scrollHeight - box.scrollTop - box.clientHeight;
      if (!this.held && up > 24 && box.scrollTop < this.top - 2) this.held = true;
      else if (this.held && up <= 4 && box.scrollTop > this.top && !this.has(box)) this.resume();
      this.top = box.scrollTop;
    };
    box.addEventListener("scroll", scrolled, { passive: true });
    const selected = () => this.selected();
    document.addEventListener("selectionchange", selected);
    // What is copied is there by then.
    const copied = () => this.blocks.forEach((b) => !b.filled && this.has(b.el) && this.fill(b));
    document.addEventListener("copy", copied);
    return () => {
      box.removeEventListener("scroll", scrolled);
      document.removeEventListener("selectionchange", selected);
      document.removeEventListener("copy", copied);
      this.observer?.disconnect();
      cancelAnimationFrame(this.frame);
      clearTimeout(this.timer);
      this.box = undefined;
    };
  }

  add(e: Entry): void {
    this.pending.push(e);
    this.soon();
  }

  hold(): void {
    this.held = true;
    this.selecting = false;
  }

  resume(): void {
    if (this.box && this.has(this.box)) getSelection()?.removeAllRanges();
    this.held = this.selecting = false;
    this.draw();
    this.bottom();
  }

  bottom(): void {
    if (!this.box) return;
    this.box.scrollTop = this.box.scrollHeight;
    this.top = this.box.scrollTop;
  }

  // entries are all lines that are kept, shown or not yet.
  entries(): Entry[] {
    return [...this.blocks.flatMap((b) => b.entries), ...this.pending.newest()].slice(-keptLines);
  }

  // has is whether a part of it is selected.
  private has(el: HTMLElement): boolean {
    const s = getSelection();
    return !!s && !s.isCollapsed && s.rangeCount > 0 && s.getRangeAt(0).intersectsNode(el);
  }

  private selected(): void {
    const has = !!this.box && this.has(this.box);
    if (has && !this.held) this.held = this.selecting = true;
    else if (!has && this.selecting) this.resume();
  }

  // resized is to be called when lines have another height than before.
  resized(): void {
    for (const b of this.blocks) if (!b.filled) b.el.style.height = `${b.entries.length * lineHeight}em`;
    if (!this.held) this.bottom();
  }

  // soon draws with the next frame; where lines come all the time, some frames apart,
  // since what costs is not the lines but painting the box anew.
  private soon(): void {
    if (this.frame !== 0 || this.timer !== undefined) return;
    const wait = this.drawn + drawPeriod - performance.now();
    const ask = () => {
      this.timer = undefined;
      this.frame = requestAnimationFrame(() => this.draw());
    };
    if (wait <= 0) ask();
    else this.timer = setTimeout(ask, wait);
  }

  private draw(): void {
    this.frame = 0;
    this.drawn = performance.now();
    this.selected(); // what is selected is told later, and is not to miss what is drawn until then
    if (this.held) {
      this.waiting.value = this.pending.added;
      return;
    }
    this.waiting.value = 0;
    const box = this.box;
    const news = this.pending.take();
    if (!box || news.length === 0) return;
    for (const e of news) this.append(box, e);
    this.trim();
    this.kept.value = this.lines;
    this.bottom();
  }

  private append(box: HTMLElement, e: Entry): void {
    let b = this.blocks[this.blocks.length - 1];
    if (!b || b.entries.length >= blockLines) {
      b = { el: document.createElement("div"), entries: [], before: structuredClone(this.styles), filled: true, near: true };
      b.el.className = "block";
      this.blocks.push(b);
      box.append(b.el);
      this.observer?.observe(b.el);
    }
    b.entries.push(e);
    b.el.append(draw(e, this.styles));
    this.lines++;
  }

  // trim drops the oldest blocks, and empties those that nobody sees.
  private trim(): void {
    while (this.lines > keptLines && this.blocks.length > 1) {
      const b = this.blocks.shift();
      if (!b) break;
      this.lines -= b.entries.length;
      this.observer?.unobserve(b.el);
      b.el.remove();
    }
    for (const b of this.blocks.slice(0, -newestBlocks)) if (b.filled && !b.near) this.empty(b);
  }

  private empty(b: Block): void {
    if (this.has(b.el)) return;
    b.el.style.height = `${b.el.offsetHeight}px`;
    b.el.replaceChildren();
    b.filled = false;
  }

  private fill(b: Block): void {
    const box = this.box;
    const old = b.el.offsetHeight;
    const styles = structuredClone(b.before);
    b.el.replaceChildren(...b.entries.map((e) => draw(e, styles)));
    b.el.style.height = "";
    b.filled = true;
    // What the reader sees stays where it is.
    if (box && b.el.offsetTop < box.scrollTop) box.scrollTop += b.el.offsetHeight - old;
  }

  private look(seen: IntersectionObserverEntry[]): void {
    const near = new Map(seen.map((s) => [s.target, s.isIntersecting]));
    const far = this.blocks.length - newestBlocks;
    this.blocks.forEach((b, i) => {
      const is = near.get(b.el);
      if (is === undefined) return;
      b.near = is;
      if (is && !b.filled) this.fill(b);
      else if (!is && b.filled && i < far) this.empty(b);
    });
  }
}

function draw(e: Entry, styles: Styles): HTMLElement {
  if ("divider" in e) {
    const row = document.createElement("div");
    row.className = "divider";
    row.textContent = e.divider;
    return row;
  }
  return line(e, styles);
}

// line is text nodes and classes: whatever a worker prints, it is never markup.
function line(l: LogLine, styles: Styles): HTMLElement {
  const row = document.createElement("div");
  const stream = l.stream ?? "stdout";
  row.className = `line ${stream === "stderr" || stream === "launch" ? stream : ""}`;
  const time = document.createElement("span");
  time.className = "time";
  time.textContent = l.time ? clock(l.time) : "";
  row.append(time);
  for (const span of parse(l.text, (styles[stream] ??= {}))) {
    if (span.classes === "") {
      row.append(span.text);
      continue;
    }
    const part = document.createElement("span");
    part.className = span.classes;
    part.textContent = span.text;
    row.append(part);
  }
  return row;
}
