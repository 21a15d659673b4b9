// The colours of terminals, as class names. Every colour becomes one of the sixteen that
// the style sheet has for light and dark, so that all stay readable; everything else that
// a terminal would act on is dropped. What comes out is text, never markup.

export interface Span {
  text: string;
  classes: string; // "" for plain
}

export interface Style {
  fg?: number;
  bg?: number;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
  inverse?: boolean;
}

// CSI, OSC (ended by BEL or ST), other escapes, and control characters but tab.
const sequence = /\x1b\[([0-9;:?<=>!]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;

// parse gives the spans of one line, and changes the style to how the line ends. Of a
// line that was written over, as by a progress bar, the last state counts.
export function parse(line: string, style: Style): Span[] {
  const trimmed = line.replace(/\r+$/, "");
  const text = trimmed.slice(trimmed.lastIndexOf("\r") + 1);
  const spans: Span[] = [];
  const add = (piece: string) => {
    if (piece === "") return;
    const classes = classesOf(style);
    const last = spans[spans.length - 1];
    if (last && last.classes === classes) last.text += piece;
    else spans.push({ text: piece, classes });
  };
  let at = 0;
  sequence.lastIndex = 0;
  for (let m = sequence.exec(text); m; m = sequence.exec(text)) {
    add(text.slice(at, m.index));
    at = m.index + m[0].length;
    if (m[2] === "m") rendition(m[1] ?? "", style);
  }
  add(text.slice(at));
  return spans;
}

function rendition(text: string, s: Style): void {
  const codes = text.replaceAll(":", ";").split(";").map(Number);
  for (let i = 0; i < codes.length; i++) {
    const c = codes[i] ?? 0;
    if (c === 0) for (const k of Object.keys(s) as (keyof Style)[]) delete s[k];
    else if (c === 1) s.bold = true;
    else if (c === 2) s.dim = true;
    else if (c === 3) s.italic = true;
    else if (c === 4) s.underline = true;
    else if (c === 7) s.inverse = true;
    else if (c === 22) s.bold = s.dim = false;
    else if (c === 23) s.italic = false;
    else if (c === 24) s.underline = false;
    else if (c === 27) s.inverse = false;
    else if (c >= 30 && c <= 37) s.fg = c - 30;
    else if (c >= 90 && c <= 97) s.fg = c - 90 + 8;
    else if (c === 39) delete s.fg;
    else if (c >= 40 && c <= 47) s.bg = c - 40;
    else if (c >= 100 && c <= 107) s.bg = c - 100 + 8;
    else if (c === 49) delete s.bg;
    else if (c === 38 || c === 48) {
      const mode = codes[i + 1];
      const colour = mode === 5 ? indexed(codes[i + 2] ?? 0) : mode === 2 ? nearest(codes[i + 2] ?? 0, codes[i + 3] ?? 0, codes[i + 4] ?? 0) : undefined;
      i += mode === 5 ? 2 : mode === 2 ? 4 : 1;
      if (colour !== undefined) s[c === 38 ? "fg" : "bg"] = colour;
    }
  }
}

function indexed(n: number): number {
  if (n < 16) return n;
  if (n >= 232) {
    const grey = 8 + (n - 232) * 10;
    return nearest(grey, grey, grey);
  }
  const step = (v: number) => (v === 0 ? 0 : 55 + v * 40);
  const i = n - 16;
  return nearest(step(Math.floor(i / 36)), step(Math.floor(i / 6) % 6), step(i % 6));
}

// nearest of the sixteen: which of red, green and blue are strong, and how bright it is.
function nearest(r: number, g: number, b: number): number {
  const max = Math.max(r, g, b);
  const min = Math.min(r, g, b);
  if (max - min < 40) return max < 48 ? 0 : max < 144 ? 8 : max < 216 ? 7 : 15;
  const on = (v: number) => (v > (max + min) / 2 ? 1 : 0);
  return on(r) + on(g) * 2 + on(b) * 4 + (max > 208 ? 8 : 0);
}

function classesOf(s: Style): string {
  const [fg, bg] = s.inverse ? [s.bg, s.fg] : [s.fg, s.bg];
  const list: string[] = [];
  if (fg !== undefined && bg === undefined) list.push(`fg-${fg}`);
  if (bg !== undefined) list.push(`bg-${bg}`);
  else if (s.inverse) list.push("inverse");
  if (s.bold) list.push("bold");
  if (s.dim) list.push("dim");
  if (s.italic) list.push("italic");
  if (s.underline) list.push("underline");
  return list.join(" ");
}
