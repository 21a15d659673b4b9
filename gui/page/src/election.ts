// Which tab leads, where there are no Web Locks: over plain HTTP beyond this machine a page
// has none, but tabs hear each other all the same.
//
// Who would lead says so, and leads when nobody objects for a moment. A leader objects; of
// several that would lead at once the one with the greatest name does. A leader says again and
// again that it leads; where nothing is heard for a while, others ask by a claim. A tab in
// the background, whose timers may come once a minute, answers that at once, since messages
// are not timers; one that is frozen, or has gone without a word, does not.
//
// Two leaders for a moment do no harm: each has a stream. They hear each other, and the one
// of the later term stays: a tab that thaws finds that it leads no more.

export type Word =
  | { is: "claim"; from: string }
  | { is: "leads"; from: string; term: number }
  | { is: "leaves"; from: string };

interface Rank {
  from: string;
  term: number;
}

const objections = 250; // ms to object in
const silence = 3_000; // ms of it until one asks

export class Election {
  leader: Rank | undefined;

  private term = 0; // the latest that was heard of
  private heard = 0; // when the leader was, or a better claim
  private claiming: ReturnType<typeof setTimeout> | undefined;
  private joined = false;

  // changed is called when this tab begins or ceases to lead, or follows another leader.
  constructor(
    private readonly me: string,
    private readonly tell: (word: Word) => void,
    private readonly changed: () => void,
  ) {}

  get leading(): boolean {
    return this.leader?.from === this.me;
  }

  // join takes part, until leave.
  join(): void {
    if (this.joined) return;
    this.joined = true;
    this.claim();
  }

  leave(): void {
    if (!this.joined) return;
    this.joined = false;
    this.withdraw();
    if (this.leading) this.tell({ is: "leaves", from: this.me });
    this.follow(undefined);
  }

  // look says that one leads, or asks who does if that has not been heard for a while. It
  // is to be called every second.
  look(): void {
    if (!this.joined) return;
    if (this.leading) this.assert();
    else if (Date.now() - this.heard >= silence) this.claim();
  }

  hear(w: Word): void {
    if (!this.joined || w.from === this.me) return;
    switch (w.is) {
      case "claim":
        if (this.leading) this.assert();
        else if (this.claiming !== undefined && w.from > this.me) this.withdraw();
        return;
      case "leads":
        return this.leads(w);
      case "leaves":
        if (this.leader?.from !== w.from) return;
        this.follow(undefined);
        this.claim();
    }
  }

  private leads({ from, term }: Rank): void {
    this.term = Math.max(this.term, term);
    if (this.leading && !later({ from, term }, this.leader)) return this.assert();
    const known = this.leader && Date.now() - this.heard < silence ? this.leader : undefined;
    if (known && known.from !== from && !later({ from, term }, known)) return; // it will hear so
    this.withdraw();
    this.follow({ from, term });
  }

  private claim(): void {
    if (this.claiming !== undefined) return;
    this.claiming = setTimeout(() => {
      this.claiming = undefined;
      this.term++;
      this.follow({ from: this.me, term: this.term });
      this.assert();
    }, objections);
    this.tell({ is: "claim", from: this.me });
  }

  // withdraw leaves it to another, who has been heard.
  private withdraw(): void {
    clearTimeout(this.claiming);
    this.claiming = undefined;
    this.heard = Date.now();
  }

  private assert(): void {
    if (this.leader) this.tell({ is: "leads", ...this.leader });
  }

  private follow(next: Rank | undefined): void {
    const before = this.leader;
    this.leader = next;
    if (before?.from !== next?.from) this.changed();
  }
}

function later(a: Rank, b: Rank | undefined): boolean {
  return !b || a.term > b.term || (a.term === b.term && a.from > b.from);
}
