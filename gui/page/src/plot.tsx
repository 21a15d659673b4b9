// A small plot of the last minutes, as a path in SVG, with a gap where a process began
// anew.

import { useMemo } from "preact/hooks";
import { when } from "./format.ts";
import type { Sample } from "./wire.ts";

export interface Point {
  t: number; // ms
  v: number | undefined; // none: a gap
}

const width = 300;
const height = 56;

export function memory(list: readonly Sample[]): Point[] {
  return list.flatMap((s) => {
    const t = when(s.time);
    return t === undefined ? [] : [{ t, v: s.rss_bytes }];
  });
}

// processor is how many cores were busy between two samples, in percent of one.
export function processor(list: readonly Sample[]): Point[] {
  const points: Point[] = [];
  let last: { t: number; ms: number } | undefined;
  for (const s of list) {
    const t = when(s.time);
    if (t === undefined || s.cpu_ms === undefined) continue;
    if (last && t > last.t) {
      const used = s.cpu_ms - last.ms;
      // A new life counts from nothing.
      points.push({ t, v: used < 0 ? undefined : (used / (t - last.t)) * 100 });
    }
    last = { t, ms: s.cpu_ms };
  }
  return points;
}

// path draws the points in a box, the newest at its right edge.
export function path(points: readonly Point[], span: number, most: number): { line: string; area: string } {
  const end = points[points.length - 1]?.t ?? 0;
  let line = "";
  let area = "";
  let run: string[] = [];
  const close = () => {
    if (run.length === 0) return;
    const first = run[0]?.split(" ")[0];
    const last = run[run.length - 1]?.split(" ")[0];
    line += `M${run.join("L")}`;
    area += `M${first} ${height}L${run.join("L")}L${last} ${height}Z`;
    run = [];
  };
  for (const p of points) {
    const x = width - ((end - p.t) / span) * width;
    if (p.v === undefined) {
      close();
      continue;
    }
    if (x < 0) continue;
    const y = height - 2 - (p.v / most) * (height - 6);
    run.push(`${x.toFixed(1)} ${y.toFixed(1)}`);
  }
  close();
  return { line, area };
}

export function Plot(p: { title: string; points: readonly Point[]; write: (v: number | undefined) => string; least: number; test: string }) {
  const values = p.points.flatMap((x) => (x.v === undefined ? [] : [x.v]));
  const most = values.length ? Math.max(...values) : 0;
  const last = p.points[p.points.length - 1]?.v;
  const drawn = useMemo(() => path(p.points, 300_000, Math.max(most, p.least)), [p.points, most, p.least]);
  const said = values.length ? `${p.write(last)} now, at most ${p.write(most)} in the last five minutes` : "nothing measured yet";
  return (
    <figure class="plot" data-testid={p.test}>
      <figcaption>
        <span>{p.title}</span>
        <strong>{p.write(last)}</strong>
        <span class="quiet">{values.length ? `most ${p.write(most)}` : ""}</span>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={`${p.title}: ${said}`}>
        <path class="area" d={drawn.area} />
        <path class="line" d={drawn.line} vector-effect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}
