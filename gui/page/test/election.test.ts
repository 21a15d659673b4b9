import assert from "node:assert/strict";
import { mock, test, type TestContext } from "node:test";
import { Election, type Word } from "../src/election.ts";

// Tab is one that takes part. What is said reaches the others a millisecond later; one that
// is frozen hears it, and has its timers, when it thaws.
class Tab {
  readonly election: Election;
  readonly told: Word[] = [];
  frozen = false;
  apart = false; // it and the others do not hear each other
  private missed: (() => void)[] = [];

  constructor(
    readonly name: string,
    others: Set<Tab>,
  ) {
    this.election = new Election(
      name,
      (word) => {
        this.told.push(word);
        for (const t of others) if (t !== this) setTimeout(() => t.apart || this.apart || t.when(() => t.election.hear(word)), 1);
      },
      () => {},
    );
    others.add(this);
    setInterval(() => this.when(() => this.election.look()), 5000);
    this.election.join();
  }

  when(what: () => void): void {
    if (this.frozen) this.missed.push(what);
    else what();
  }

  thaw(): void {
    this.frozen = false;
    for (const what of this.missed.splice(0)) what();
  }

  get follows(): string | undefined {
    return this.election.leader?.from;
  }
}

// tabs are so many, opened at once, and what they agree on.
function tabs(t: TestContext, ...names: string[]) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  t.after(() => mock.timers.reset());
  const all = new Set<Tab>();
  const list = names.map((n) => new Tab(n, all));
  const pass = (ms: number) => {
    for (let i = 0; i < ms; i += 10) mock.timers.tick(10);
  };
  const leader = () => {
    const there = [...all].filter((x) => !x.frozen);
    const leads = there.filter((x) => x.election.leading).map((x) => x.name);
    const followed = [...new Set(there.map((x) => x.follows))];
    return leads.length === 1 && followed.length === 1 && followed[0] === leads[0] ? leads[0] : `${leads} lead, ${followed} are followed`;
  };
  const close = (x: Tab | undefined) => x && all.delete(x);
  return { all, list, pass, leader, close };
}

test("one alone leads soon", (t) => {
  const { pass, leader } = tabs(t, "a");
  pass(300);
  assert.equal(leader(), "a");
});

test("of those that are opened at once one leads, and who comes later follows it", (t) => {
  const { all, pass, leader } = tabs(t, "a", "c", "b");
  pass(300);
  assert.equal(leader(), "c");
  const z = new Tab("z", all);
  pass(60_000);
  assert.equal(leader(), "c");
  assert.equal(z.follows, "c");
});

test("who leaves is followed by another at once, and may come back", (t) => {
  const { list, all, pass, leader } = tabs(t, "a", "b", "c");
  pass(300);
  list[2]?.election.leave();
  all.delete(list[2] as Tab);
  pass(300);
  assert.equal(leader(), "b");
  assert.equal(list[2]?.follows, undefined);
  all.add(list[2] as Tab);
  list[2]?.election.join();
  pass(300);
  assert.equal(leader(), "b");
});

test("one that goes without a word is missed in time", (t) => {
  const { list, pass, leader, close } = tabs(t, "a", "b", "c");
  pass(20_000);
  close(list[2]);
  list[2]!.frozen = true;
  pass(18_000);
  assert.equal(leader(), "b");
});

test("one that is frozen is missed, and follows when it thaws", (t) => {
  const { list, pass, leader } = tabs(t, "a", "b", "c");
  const [, , c] = list as [Tab, Tab, Tab];
  pass(20_000);
  c.frozen = true;
  pass(18_000);
  assert.equal(leader(), "b");
  c.thaw();
  pass(20);
  assert.equal(leader(), "b");
  assert.equal(c.follows, "b");
});

test("one whose timers hardly run leads on, for it answers", (t) => {
  const { list, pass, leader } = tabs(t, "a", "b", "c");
  pass(300);
  const c = list[2] as Tab;
  c.election.look = () => {};
  pass(60_000);
  assert.equal(leader(), "c");
});

test("two leaders find each other, whoever speaks first", (t) => {
  for (const first of [0, 1]) {
    const { list, pass, leader } = tabs(t, "a", "b");
    list[0]!.apart = true;
    pass(300);
    assert.deepEqual(list.map((x) => x.election.leading), [true, true]);
    list[0]!.apart = false;
    list[first]?.election.look();
    pass(20);
    assert.equal(leader(), "b");
    mock.timers.reset();
  }
});
