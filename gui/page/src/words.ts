// Arguments as people write them in one line, as in a shell: quotes keep words together, a
// backslash takes what follows as it is. Nothing else of a shell's is meant by anything.

// Unfinished is a line that ends within quotes, or after a backslash.
export class Unfinished extends Error {}

// split gives the words of a line. It throws Unfinished.
export function split(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined; // none between words; "" may be one, in quotes
  for (let i = 0; i < line.length; i++) {
    const c = line.charAt(i);
    if (/\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (c === "'" || c === '"') {
      const quoted = quote(line, i);
      word = (word ?? "") + quoted.text;
      i = quoted.end;
    } else if (c === "\\") {
      if (++i === line.length) throw new Unfinished("The backslash at the end has nothing after it: write two for one.");
      word = (word ?? "") + line.charAt(i);
    } else {
      word = (word ?? "") + c;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

// quote reads what is in the quotes that begin at a place, to those that end it. In double
// ones a backslash takes another of them, or itself, as it is, and \n is a new line.
function quote(line: string, begin: number): { text: string; end: number } {
  const mark = line.charAt(begin);
  let text = "";
  for (let i = begin + 1; i < line.length; i++) {
    const c = line.charAt(i);
    const next = line.charAt(i + 1);
    if (c === mark) return { text, end: i };
    if (mark === '"' && c === "\\" && (next === '"' || next === "\\" || next === "n" || next === "r")) {
      text += next === "n" ? "\n" : next === "r" ? "\r" : next;
      i++;
    } else {
      text += c;
    }
  }
  throw new Unfinished(`A ${mark === "'" ? "single" : "double"} quote is not closed: ${line.slice(begin, begin + 20)}`);
}

// join is a line of which split makes these words again.
export function join(words: readonly string[]): string {
  return words.map(written).join(" ");
}

function written(word: string): string {
  if (word !== "" && !/[\s'"\\]/.test(word)) return word;
  if (!/['\n\r]/.test(word)) return `'${word}'`;
  return `"${word.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\r", "\\r")}"`; // a field has one line
}
