package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// plenty of components are always new: a number has seven digits.
const plenty = 10_000_000

func (b *bench) register(ctx context.Context, s *section) error {
	return b.requests(ctx, s, 0, op{kind: register, known: plenty}, 0)
}

func (b *bench) heartbeat(ctx context.Context, s *section) error {
	return b.requests(ctx, s, 1_000, op{kind: heartbeat, known: 1_000}, 0.85)
}

func (b *bench) batch(ctx context.Context, s *section) error {
	if b.etcdPath != "" {
		s.Notes = append(s.Notes, "etcd has no batches: they are 100 requests on a stream, sent before the first answer is read")
	}
	return b.requests(ctx, s, 10_000, op{kind: heartbeat, batch: 100, known: 10_000}, 0)
}

// requests measures one kind, with so many components that are known before.
func (b *bench) requests(ctx context.Context, s *section, known int64, o op, goal float64) (err error) {
	all, stop, err := b.contenders(ctx, patient...)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	var turns []*turn
	for _, c := range all {
		if err := fill(ctx, c, known); err != nil {
			return err
		}
		t := &turn{who: c, op: o, what: s.Name}
		if c.name() == "registry" {
			t.goal = goal
		}
		turns = append(turns, t)
	}
	return b.measure(ctx, s, turns)
}

// fillBatch is how many components are registered at once; a body may have 1 MiB.
const fillBatch = 500

// fillFor is how long components that are registered wait for the others, before they
// beat: a registry that takes its time over a million is not to lose the first of them.
const fillFor = 10 * time.Second

// fill registers the components below n.
func fill(ctx context.Context, c contender, n int64) error {
	if n == 0 {
		return nil
	}
	forms := &turn{who: c, op: op{kind: register, batch: int(min(n, fillBatch)), known: n}}
	connections := 8
	if c.name() == "etcd" {
		forms.op.batch, connections = 1, 64 // what writes to disk does better with many at once
	}
	err := forms.open(ctx, connections)
	defer forms.close()
	all := (n + forms.op.each() - 1) / forms.op.each()
	for err == nil && forms.next < all {
		if forms.next > 0 {
			err = beatOnce(ctx, c, forms.next*forms.op.each())
		}
		if err == nil {
			inTime := until(fillFor)
			err = forms.ask(ctx, func(made int64) bool { return forms.next+made < all && inTime(made) })
		}
	}
	if err != nil {
		return fmt.Errorf("register %d components with %s: %w", n, c.name(), err)
	}
	return nil
}

// beatOnce has the components below n beat, as much at once as can be.
func beatOnce(ctx context.Context, c contender, n int64) error {
	beats := &turn{who: c, op: op{kind: heartbeat, batch: int(min(n, fillBatch)), known: n}}
	if err := beats.open(ctx, 8); err != nil {
		return err
	}
	defer beats.close()
	return beats.ask(ctx, func(made int64) bool { return made*beats.op.each() < n })
}

// list measures the lists of some lengths, in all ways to ask for them.
func (b *bench) list(ctx context.Context, s *section) error {
	for _, n := range b.lists {
		if err := b.listOf(ctx, s, n); err != nil {
			return err
		}
	}
	if b.etcdPath != "" {
		s.Notes = append(s.Notes, "etcd: a range with a limit; bytes are those of keys and values")
	}
	return nil
}

func (b *bench) listOf(ctx context.Context, s *section, n int64) (err error) {
	all, stop, err := b.contenders(ctx, patient...)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	var turns []*turn
	what := figure(float64(n))
	for _, c := range all {
		if err := fill(ctx, c, n); err != nil {
			return err
		}
		plain := &turn{who: c, op: op{kind: list, known: n}, what: what}
		turns = append(turns, plain)
		if c.name() != "registry" {
			continue
		}
		if n >= 1_000 {
			plain.goal = 10
		}
		turns = append(turns,
			&turn{who: c, op: op{kind: list, known: n, accept: "gzip"}, what: what + ", gzip"},
			&turn{who: c, op: op{kind: list, known: n, cached: true}, what: what + ", not modified"})
	}
	short := *b
	short.rounds = min(b.rounds, 3)
	return short.measure(ctx, s, turns)
}
