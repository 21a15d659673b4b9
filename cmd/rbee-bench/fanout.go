package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// wave is some changes that all watchers are to see: the registrations of the
// components from first on, the i-th of them due at due(i).
type wave struct {
	first int64
	count int64
	due   func(i int64) time.Time

	missing atomic.Int64  // sightings, until all watchers have seen all
	all     chan struct{} // closed then

	shares []share
}

// share is what some watchers have seen; a histogram for each would be 100 MB.
type share struct {
	mu      sync.Mutex
	latency *hdrhistogram.Histogram
	last    time.Time
}

func newWave(first, count int64, watchers int, due func(int64) time.Time) *wave {
	w := &wave{first: first, count: count, due: due, all: make(chan struct{}), shares: make([]share, 16)}
	w.missing.Store(count * int64(watchers))
	for i := range w.shares {
		w.shares[i].latency = newHistogram()
	}
	return w
}

// saw notes that a watcher has read of a component's registration.
func (w *wave) saw(watcher int, number int64) {
	i := number - w.first
	if i < 0 || i >= w.count {
		return
	}
	now := time.Now()
	p := &w.shares[watcher%len(w.shares)]
	p.mu.Lock()
	record(p.latency, now.Sub(w.due(i)))
	p.last = now
	p.mu.Unlock()
	if w.missing.Add(-1) == 0 {
		close(w.all)
	}
}

// patience is how long what was not delivered is waited for.
const patience = 20 * time.Second

// wait ends when all have seen all, or have had the time to.
func (w *wave) wait(ctx context.Context) {
	timer := time.NewTimer(time.Until(w.due(w.count-1)) + patience)
	defer timer.Stop()
	select {
	case <-w.all:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// outcome is what was seen, and until when it took from the first change on.
func (w *wave) outcome() outcome {
	o := newOutcome()
	last := w.due(0)
	for i := range w.shares {
		p := &w.shares[i]
		p.mu.Lock()
		o.latency.Merge(p.latency)
		if p.last.After(last) {
			last = p.last
		}
		p.mu.Unlock()
	}
	o.failed = max(w.missing.Load(), 0)
	o.count = o.latency.TotalCount() + o.failed
	o.took = last.Sub(w.due(0))
	return o
}

// watch has each server, one after the other, tell its watchers of changes: first at a
// rate, then of some at once.
func (b *bench) watch(ctx context.Context, s *section) (err error) {
	all, stop, err := b.contenders(ctx, patient...)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	steady := fmt.Sprintf("%v changes/s to %d", b.changeRate, b.watchers)
	burst := fmt.Sprintf("%d changes at once", b.burst)
	rows := map[string][]*row{}
	for _, c := range all {
		rates, err := b.fanout(ctx, c)
		if err != nil && !errors.Is(err, errNotOffered) {
			return fmt.Errorf("%s: %w", c.name(), err)
		}
		for i, what := range []string{steady, burst} {
			r := &row{What: what, Who: c.name()}
			if err != nil {
				r.Note = err.Error()
			} else {
				r.watched(rates[i])
			}
			rows[what] = append(rows[what], r)
		}
	}
	compareRates(rows[burst])
	s.Rows = append(append(s.Rows, rows[steady]...), rows[burst]...)
	s.Notes = append(s.Notes, "latencies: from when a change was due to be requested until a watcher has read of it")
	if b.etcdPath != "" {
		s.Notes = append(s.Notes, fmt.Sprintf("etcd's watchers share %d connections, and its changes at once are single requests", etcdConnections))
	}
	return nil
}

func (r *row) watched(o outcome) {
	r.Values = append(values{{"events_per_second", o.rate()}}, latencies(o)...)
	if o.failed > 0 {
		r.Note = fmt.Sprintf("%d of %d events did not come", o.failed, o.count)
	}
}

// compareRates sets the ratios of what was delivered at once.
func compareRates(rows []*row) {
	var bare float64
	for _, r := range rows {
		if rate, there := r.Values.get("events_per_second"); there && r.Who == "bare" {
			bare = rate
		}
	}
	for _, r := range rows {
		if rate, there := r.Values.get("events_per_second"); there && r.Who != "bare" {
			r.compare(rate/bare, 0)
		}
	}
}

// fanout is what came of both waves.
func (b *bench) fanout(ctx context.Context, c contender) (rates [2]outcome, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var current atomic.Pointer[wave]
	wait, err := c.watch(ctx, b.watchers, func(watcher int, number int64) {
		if w := current.Load(); w != nil {
			w.saw(watcher, number)
		}
	})
	if err != nil {
		return rates, err
	}
	defer wait()
	defer cancel()

	l := loop{start: soon(), rate: b.changeRate, count: b.changes}
	w := newWave(0, b.changes, b.watchers, l.due)
	current.Store(w)
	if err := b.change(ctx, c, op{kind: register, known: plenty}, l); err != nil {
		return rates, err
	}
	w.wait(ctx)
	rates[0] = w.outcome()

	l = loop{start: soon(), rate: 1, count: 1}
	o := op{kind: register, known: plenty, first: b.changes, batch: int(b.burst)}
	w = newWave(b.changes, b.burst, b.watchers, func(int64) time.Time { return l.start })
	current.Store(w)
	if err := b.change(ctx, c, o, l); err != nil {
		return rates, err
	}
	w.wait(ctx)
	rates[1] = w.outcome()
	return rates, ctx.Err()
}

// change makes the changes, none of which may fail.
func (b *bench) change(ctx context.Context, c contender, o op, l loop) error {
	t := &turn{who: c, op: o}
	if err := t.open(ctx, b.connections); err != nil {
		return err
	}
	defer t.close()
	got, err := l.run(ctx, requests(t.clients, 0))
	return errors.Join(err, got.err)
}
