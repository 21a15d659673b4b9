// The lines of a log as the page keeps them: so many and no more, and none twice, though
// a stream that is opened again begins with lines that are here already.

import { parse } from "./ansi.ts";
import { when } from "./format.ts";
import type { LogLine } from "./wire.ts";

export const keptLines = 5000;
export const tail = 500; // with which a stream begins

export type Entry = LogLine | { divider: string };

// Pending holds what is to be drawn: between two frames, or while the reader has
// scrolled up. Of too many the newest count.
export class Pending {
  private list: Entry[] = [];
  added = 0; // since it was last taken

  constructor(private readonly most = keptLines) {}

  push(e: Entry): void {
    this.list.push(e);
    this.added++;
    if (this.list.length >= this.most * 2) this.list = this.list.slice(-this.most);
  }

  // newest are those that take would give.
  newest(): Entry[] {
    return this.list.length > this.most ? this.list.slice(-this.most) : this.list;
  }

  take(): Entry[] {
    const all = this.newest();
    this.list = [];
    this.added = 0;
    return all;
  }
}

// plain is a log as a text: each line with its time, and without its colours.
export function plain(entries: readonly Entry[]): string {
  const line = (e: Entry) => ("divider" in e ? `--- ${e.divider} ---` : `${e.time ? `${e.time} ` : ""}${parse(e.text, {}).map((s) => s.text).join("")}`);
  return entries.map((e) => `${line(e)}\n`).join("");
}

// Seam joins a stream to what is there of the one before: begin is called as it opens,
// fresh for each line.
export class Seam {
  private last = ""; // the time of the newest line, as it can be compared
  private atLast: string[] = []; // the texts at that time, of which there may be several
  private joining = false;
  private skipped = 0;
  private known: string[] = []; // of atLast, what has not been skipped yet

  begin(): void {
    this.joining = this.last !== "";
    this.skipped = 0;
    this.known = [...this.atLast];
  }

  // misses is whether there may be lines between what is there and a stream that begins so.
  misses(first: LogLine | undefined): boolean {
    return this.last !== "" && first !== undefined && comparable(first.time) > this.last;
  }

  // fresh is whether the line is new; "gap" when some before it are missing.
  fresh(l: LogLine): boolean | "gap" {
    const time = comparable(l.time);
    if (!this.joining) {
      this.note(time, l.text);
      return true;
    }
    if (time !== "" && time < this.last) {
      this.skipped++;
      return false;
    }
    const again = this.known.indexOf(l.text);
    if (time === this.last && again >= 0) {
      this.skipped++;
      this.known.splice(again, 1);
      return false;
    }
    this.joining = false;
    const gap = this.skipped === 0;
    this.note(time, l.text);
    return gap ? "gap" : true;
  }

  private note(time: string, text: string): void {
    if (time === "") return;
    if (time !== this.last) {
      this.last = time;
      this.atLast = [];
    }
    this.atLast.push(text);
  }
}

// Lives finds in a log that is read from its middle where the present life of the worker
// began.
export class Lives {
  private earlier = false; // there was a line before it

  constructor(private readonly started: string | undefined) {}

  // begins is whether this line is the first of the present life, after others.
  begins(l: LogLine): boolean {
    const [start, time] = [comparable(this.started), comparable(l.time)];
    if (start === "" || time === "") return false;
    const first = this.earlier && time >= start;
    this.earlier = time < start;
    return first;
  }
}

// comparable is a time with nanoseconds as a text that sorts as the times do.
export function comparable(time: string | undefined): string {
  const ms = when(time);
  if (ms === undefined || !time) return "";
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? "";
  return String(Math.floor(ms / 1000)).padStart(12, "0") + fraction.padEnd(9, "0").slice(0, 9);
}
