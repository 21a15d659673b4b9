package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// beatEvery is how often a component beats, as the contract has it.
const beatEvery = 15 * time.Second

// tooLate is what no batch of a million's heartbeats may be.
const tooLate = time.Second

// million registers as many components as are allowed, with a registry as it is by
// default, and has them beat.
func (b *bench) million(ctx context.Context, s *section) error {
	s.Notes = append(s.Notes, "bytes per entry: as in the section memory, when all are registered",
		"cpu percent: processor time of the server while they beat, of one core's; ratio: of that, the less the better")
	var bare float64
	for _, name := range []string{"bare", "registry"} {
		r, err := b.beatAll(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		cpu, _ := r.Values.get("cpu_percent")
		if name == "bare" {
			bare = cpu
		} else {
			r.compare(cpu/bare, 0)
		}
		s.Rows = append(s.Rows, r)
	}
	return nil
}

// beatAll is one server's turn, with one core.
func (b *bench) beatAll(ctx context.Context, name string) (_ *row, err error) {
	one := []int(nil)
	if len(b.servers) > 0 {
		one = b.servers[:1]
	}
	c, err := b.http(ctx, name, one)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	began := time.Now()
	r, err := weigh(ctx, c, b.most)
	if err != nil {
		return nil, err
	}
	filled := time.Since(began)
	r.What = figure(float64(b.most)) + " components"

	t := &turn{who: c, op: op{kind: heartbeat, batch: 100, known: b.most}}
	if err := t.open(ctx, b.connections); err != nil {
		return nil, err
	}
	defer t.close()
	rate := float64(b.most) / beatEvery.Seconds() / float64(t.op.batch)
	l := loop{start: soon(), rate: rate, count: max(int64(rate*b.millionFor.Seconds()), 1), late: tooLate}
	before, err := c.usage(ctx)
	if err != nil {
		return nil, err
	}
	got, err := l.run(ctx, requests(t.clients, 0))
	if err != nil {
		return nil, err
	}
	after, err := c.usage(ctx)
	if err != nil {
		return nil, err
	}
	share := 100 * float64(after.cpu-before.cpu) / float64(got.took)
	r.Values = append(r.Values, value{"registered_s", filled.Seconds()}, value{"cpu_percent", share},
		value{"batches_per_second", got.rate()})
	r.Values = append(append(r.Values, latencies(got)...), value{"late", float64(got.late)}, value{"failed", float64(got.failed)})
	if got.err != nil {
		r.Note = fmt.Sprintf("a failure: %v", got.err)
	}
	if name == "registry" && b.most == 1_000_000 {
		r.Goal = &goal{
			Text: fmt.Sprintf("cpu < 100 %%, none late by over %s", tooLate),
			Met:  share < 100 && got.late == 0 && got.failed == 0,
		}
	}
	return r, ctx.Err()
}
