// The part of Markdown that models write: as data, which is drawn as elements. What is not
// understood stays as it was written. An answer that still grows is read so that what is
// shown of it does not change when the rest comes.

export type Block =
  | { is: "text" | "quote"; text: string }
  | { is: "heading"; text: string; level: number }
  | { is: "code"; text: string; lang: string }
  | { is: "list"; text: string } // see list
  | { is: "table"; text: string } // rows and cells, between bars
  | { is: "rule"; text: string };

const fence = /^(\s*)(`{3,}|~{3,})([^`]*)$/;
const item = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const heading = /^ {0,3}(#{1,6})\s+(.+?)(?:\s+#+)?\s*$/;
const rule = /^ {0,3}([-*_])(?: *\1){2,}\s*$/;
const quote = /^ {0,3}> ?/;
const bars = /^\s*\|.*\|\s*$/;

export function blocks(content: string, growing = false): Block[] {
  const list: Block[] = [];
  let open: Block | undefined; // what the next line may belong to
  let code: { mark: string; indent: string; begun: boolean } | undefined; // between fences
  const add = (b: Block) => {
    const joins = open?.is === b.is && (b.is === "text" || b.is === "quote" || b.is === "table" || b.is === "list");
    if (joins && open) open.text += `\n${b.text}`;
    else list.push((open = b));
  };
  const lines = (growing ? whole(content) : content).split("\n");
  lines.forEach((line, i) => {
    const f = fence.exec(line);
    if (code && open) {
      if (f && f[3]?.trim() === "" && f[2]?.startsWith(code.mark)) return void (code = open = undefined);
      open.text += (code.begun ? "\n" : "") + (line.startsWith(code.indent) ? line.slice(code.indent.length) : line.trimStart());
      code.begun = true;
      return;
    }
    if (f) {
      code = { mark: f[2] ?? "", indent: f[1] ?? "", begun: false };
      list.push((open = { is: "code", text: "", lang: f[3]?.trim() ?? "" }));
      return;
    }
    const h = heading.exec(line);
    if (line.trim() === "") {
      // Entries may stand apart, and what is indented goes on with the last one.
      const next = open?.is === "list" ? (lines.slice(i + 1).find((l) => l.trim() !== "") ?? "") : "";
      if (!item.test(next) && !/^\s/.test(next)) open = undefined;
    } else if (h) add({ is: "heading", text: h[2] ?? "", level: h[1]?.length ?? 1 });
    else if (rule.test(line)) add({ is: "rule", text: "" });
    else if (item.test(line) || (open?.is === "list" && /^\s/.test(line))) add({ is: "list", text: line });
    else if (quote.test(line)) add({ is: "quote", text: line.replace(quote, "") });
    else if (bars.test(line) && (open?.is === "table" || /^[\s|:-]*-[\s|:-]*$/.test(lines[i + 1] ?? ""))) add({ is: "table", text: line });
    else add({ is: "text", text: line });
  });
  return list;
}

// whole leaves out the end of what grows as long as it may come to mean something else.
function whole(content: string): string {
  return content
    .replace(/(^|\n)[ \t]*(?:[-+*#>|=_]+|\d{1,3}[.)])[ \t]*$/, "$1")
    .replace(/[*_`~]+$/, "")
    .replace(/!?\[([^\]\n]*)\]\((?:h[^)\s]*)?$/, "$1");
}

export interface List {
  first?: number; // of one that is numbered
  items: { text: string; lists: List[] }[];
}

// list are the entries of a list, with those below them.
export function list(text: string): List[] {
  const roots: List[] = [];
  const stack: { indent: number; list: List }[] = [];
  for (const line of text.split("\n")) {
    const m = item.exec(line);
    const last = () => stack[stack.length - 1];
    if (!m) {
      const at = last()?.list.items.at(-1);
      if (at) at.text += `\n${line.trim()}`;
      continue;
    }
    const indent = (m[1] ?? "").replaceAll("\t", "    ").length;
    while (stack.length > 0 && indent < (last()?.indent ?? 0)) stack.pop();
    const first = m[2] === undefined ? undefined : Number(m[2]);
    let top = last();
    if (top && indent < top.indent + 2 && (top.list.first === undefined) !== (first === undefined)) {
      stack.pop(); // the same depth, but of the other kind
      top = last();
    } else if (top && indent < top.indent + 2) {
      top.list.items.push({ text: m[3] ?? "", lists: [] });
      continue;
    }
    const next: List = { first, items: [{ text: m[3] ?? "", lists: [] }] };
    (top?.list.items.at(-1)?.lists ?? roots).push(next);
    stack.push({ indent, list: next });
  }
  return roots;
}

export type Span = { is: "text" | "code"; text: string } | { is: "strong" | "em" | "del"; spans: Span[] } | { is: "link"; href: string; spans: Span[] };

const marks = new RegExp(
  [
    /\\([!-/:-@[-`{-~])/, // 1
    /(`+)(?!`)([^]*?[^`])\2(?!`)/, // 2 3
    /\*\*(?=\S)([^]*?[^\s*]\**)\*\*(?!\*)/, // 4
    /(?<![\p{L}\p{N}_])__(?=\S)([^]*?\S)__(?![\p{L}\p{N}_])/u, // 5
    /~~(?=\S)([^]*?\S)~~/, // 6
    /\*(?![\s*])([^*]*?[^\s*])\*(?!\*)/, // 7
    /(?<![\p{L}\p{N}_])_(?![\s_])([^_]*?[^\s_])_(?![\p{L}\p{N}_])/u, // 8
    /!?\[([^\]\n]+)\]\((https?:\/\/[^\s()]+(?:\([^\s()]*\)[^\s()]*)*)\)/, // 9 10
    /(https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]}*_])/, // 11
  ]
    .map((r) => r.source)
    .join("|"),
  "gu",
);

// longest is a text that is looked at for marks: each that is not closed costs a look at all
// that follows.
const longest = 20_000;

// spans are a text's parts. In one that grows a mark that is not closed yet counts until
// the end.
export function spans(text: string, growing = false, depth = 0): Span[] {
  if (text.length > longest) return [{ is: "text", text }];
  const list: Span[] = [];
  const all = growing ? close(text) : text;
  let at = 0;
  for (const m of depth < 6 ? all.matchAll(marks) : []) {
    if (m.index > at) list.push({ is: "text", text: all.slice(at, m.index) });
    at = m.index + m[0].length;
    const inner = (n: number) => spans(m[n] ?? "", false, depth + 1);
    if (m[1] !== undefined) list.push({ is: "text", text: m[1] });
    else if (m[3] !== undefined) list.push({ is: "code", text: m[3].replace(/^ (.*\S.*) $/, "$1") });
    else if (m[4] !== undefined || m[5] !== undefined) list.push({ is: "strong", spans: inner(m[4] !== undefined ? 4 : 5) });
    else if (m[6] !== undefined) list.push({ is: "del", spans: inner(6) });
    else if (m[7] !== undefined || m[8] !== undefined) list.push({ is: "em", spans: inner(m[7] !== undefined ? 7 : 8) });
    else if (m[10] !== undefined) list.push({ is: "link", href: m[10], spans: inner(9) });
    else if (m[11] !== undefined) list.push({ is: "link", href: m[11], spans: [{ is: "text", text: m[11] }] });
  }
  if (at < all.length) list.push({ is: "text", text: all.slice(at) });
  return list;
}

function close(text: string): string {
  const bare = text.replace(/(`+)(?!`)[^]*?[^`]\1(?!`)/g, "");
  if (/`\S/.test(bare)) return `${text}\``;
  if ((bare.match(/\*\*/g)?.length ?? 0) % 2 === 1 && /\*\*\S[^*]*$/.test(bare)) return `${text.trimEnd()}**`;
  return text;
}
