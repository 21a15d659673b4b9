// What a model says, drawn as elements: it is never markup. Nothing in it is loaded, and
// only links to the web lead anywhere.

import type { ComponentChild } from "preact";
import { blocks, list, spans, type Block, type List, type Span } from "./markdown.ts";
import { memo } from "./memo.ts";

export function Said({ content, growing }: { content: string; growing: boolean }) {
  const all = blocks(content, growing);
  return (
    <>
      {all.map((b, i) => (
        <BlockView key={i} is={b.is} text={b.text} lang={b.is === "code" ? b.lang : ""} level={b.is === "heading" ? b.level : 0} growing={growing && i === all.length - 1} />
      ))}
    </>
  );
}

// BlockView is drawn again only when its own text is another: mostly the last one's.
const BlockView = memo(function BlockView({ is, text, lang, level, growing }: { is: Block["is"]; text: string; lang: string; level: number; growing: boolean }) {
  switch (is) {
    case "code":
      return (
        <pre tabIndex={0} dir="ltr" aria-label={`Code ${lang}`.trim()}>
          <code>{text}</code>
        </pre>
      );
    case "heading":
      return <h3 dir="auto" class={`h-${level}`}>{line(text, growing)}</h3>;
    case "list":
      return <Lists lists={list(text)} growing={growing} />;
    case "quote":
      return <blockquote dir="auto">{line(text, growing)}</blockquote>;
    case "rule":
      return <hr />;
    case "table":
      return <Cells rows={text.split("\n").map(cells)} />;
    case "text":
      return <p dir="auto">{line(text, growing)}</p>;
  }
});

function Lists({ lists, growing }: { lists: List[]; growing: boolean }) {
  return (
    <>
      {lists.map((l, i) => {
        const last = growing && i === lists.length - 1;
        const items = l.items.map((x, k) => (
          <li key={k}>
            {line(x.text, last && k === l.items.length - 1)}
            {x.lists.length > 0 && <Lists lists={x.lists} growing={last && k === l.items.length - 1} />}
          </li>
        ));
        return l.first === undefined ? <ul key={i} dir="auto">{items}</ul> : <ol key={i} dir="auto" start={l.first}>{items}</ol>;
      })}
    </>
  );
}

const cells = (row: string) => row.trim().slice(1, -1).split("|").map((c) => c.trim());

function Cells({ rows: [head = [], , ...rows] }: { rows: string[][] }) {
  return (
    <div class="cells" tabIndex={0} role="region" aria-label="Table">
      <table dir="auto">
        <thead>
          <tr>
            {head.map((c, i) => (
              <th key={i} scope="col">{line(c)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((r, i) => (
            <tr key={i}>
              {head.map((_, k) => (
                <td key={k}>{line(r[k] ?? "")}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function line(text: string, growing = false): ComponentChild[] {
  return spans(text, growing).map(span);
}

function span(s: Span, i: number): ComponentChild {
  switch (s.is) {
    case "text":
      return s.text;
    case "code":
      return <code key={i} dir="ltr">{s.text}</code>;
    case "strong":
      return <strong key={i}>{s.spans.map(span)}</strong>;
    case "em":
      return <em key={i}>{s.spans.map(span)}</em>;
    case "del":
      return <del key={i}>{s.spans.map(span)}</del>;
    case "link":
      return (
        <a key={i} href={s.href} title={s.href} target="_blank" rel="noreferrer">
          {s.spans.map(span)}
        </a>
      );
  }
}
