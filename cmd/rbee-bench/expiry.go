package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// probeLimit is what no request may take while others expire.
const probeLimit = 10 * time.Millisecond

// expiry has many components fall silent at once, and asks the registry small things
// all the while. The bare handler, which expires nobody, is asked the same: what it
// shows is what the machine adds to either.
func (b *bench) expiry(ctx context.Context, s *section) error {
	took, err := b.silence(ctx, s, "registry")
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	if _, err := b.silence(ctx, s, "bare"); err != nil {
		return fmt.Errorf("bare: %w", err)
	}
	s.Notes = append(s.Notes,
		fmt.Sprintf("%s components that beat once more and then are silent; offline after %s, removed after %s; %v requests/s: heartbeats, /hives and /health",
			figure(float64(b.silent)), b.window, b.remove, b.probeRate),
		fmt.Sprintf("lasts: from the first to the last of them that is seen to be; all were heard of last within %s", took.Round(time.Millisecond)),
		"ends after: from when the last of them was due to be offline, or removed, until it was seen to be")
	return nil
}

// phase is a stretch of the probe, and what is due to happen in it.
type phase struct {
	name  string
	until time.Time
	due   time.Duration // so long after each of them was heard of last; nothing when zero
}

// silence is one server's turn. It tells how long it took to hear of all once more.
func (b *bench) silence(ctx context.Context, s *section, name string) (took time.Duration, err error) {
	c, err := b.http(ctx, name, b.servers, "--online-window", b.window.String(), "--remove-after", b.remove.String())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := enter(ctx, c, b.silent); err != nil {
		return 0, err
	}
	if err := fill(ctx, c, b.silent); err != nil {
		return 0, err
	}
	first := time.Now()
	if err := beatOnce(ctx, c, b.silent); err != nil {
		return 0, err
	}
	last := time.Now() // when the last of them was heard of, at the latest
	phases := []phase{{name: "before", until: first.Add(b.window)}}
	if name == "registry" {
		// What is due takes a moment; another follows, to see what it leaves.
		end := last.Add(b.remove + b.window/4 + 500*time.Millisecond)
		phases = append(phases,
			phase{name: "offline", until: first.Add(b.remove), due: b.window},
			phase{name: "removal", until: end, due: b.remove})
	}
	seen := &revisions{}
	outcomes, err := b.probe(ctx, c, phases, seen)
	if err != nil {
		return 0, err
	}
	for i, p := range phases {
		r := &row{What: p.name, Who: name, Values: latencies(outcomes[i])}
		p.judge(r, outcomes[i], seen, first, last)
		s.Rows = append(s.Rows, r)
	}
	if name == "registry" {
		err = allGone(ctx, c, s.Rows[len(s.Rows)-1])
	}
	return last.Sub(first), err
}

// judge adds to a row when it happened, and whether requests were held up.
func (p phase) judge(r *row, o outcome, seen *revisions, first, last time.Time) {
	if o.failed > 0 {
		r.Note = fmt.Sprintf("%d of %d failed: %v", o.failed, o.count, o.err)
	}
	if p.due == 0 {
		return
	}
	began, ended := seen.between(first.Add(p.due), p.until)
	if !began.IsZero() {
		r.Values = append(r.Values, value{"lasts_ms", millis(ended.Sub(began))},
			value{"ends_after_ms", max(millis(ended.Sub(last.Add(p.due))), 0)})
	}
	r.Goal = &goal{
		Text: fmt.Sprintf("none over %s", probeLimit),
		Met:  o.max() <= probeLimit && o.failed == 0,
	}
}

// enter registers one component.
func enter(ctx context.Context, c contender, number int64) error {
	made, err := c.client(ctx, op{kind: register, first: number, known: plenty})
	if err != nil {
		return err
	}
	defer made.close()
	return made.do(ctx, 0)
}

// probe asks until the phases end: heartbeats of the component that lives, and, one
// time in two, a small query.
func (b *bench) probe(ctx context.Context, c httpContender, phases []phase, seen *revisions) ([]outcome, error) {
	var asking []request
	for range b.connections {
		var kinds []*httpClient
		for _, o := range []op{{kind: heartbeat, first: b.silent, known: plenty}, {kind: hives}, {kind: health}} {
			made, err := c.client(ctx, o)
			if err != nil {
				return nil, err
			}
			defer made.close()
			kinds = append(kinds, made.(*httpClient))
		}
		asking = append(asking, func(ctx context.Context, i int64) error {
			k := kinds[[]int{0, 1, 0, 2}[i%4]]
			err := k.do(ctx, 0) // always the same one
			seen.note(k.revision())
			return err
		})
	}
	l := loop{start: soon(), rate: b.probeRate}
	var bounds []int64
	for _, p := range phases {
		l.count = max(int64(p.until.Sub(l.start).Seconds()*l.rate), l.count+1)
		bounds = append(bounds, l.count)
	}
	return l.runParts(ctx, asking, bounds[:len(bounds)-1])
}

// revisions are when the registry's revision was seen to grow.
type revisions struct {
	highest atomic.Int64
	mu      sync.Mutex
	grown   []time.Time
}

func (r *revisions) note(revision int64) {
	if revision <= r.highest.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if revision > r.highest.Load() {
		r.highest.Store(revision)
		r.grown = append(r.grown, time.Now())
	}
}

// between are the first and the last time that it grew in a phase.
func (r *revisions) between(from, until time.Time) (first, last time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.grown {
		if at.Before(from) || at.After(until) {
			continue
		}
		if first.IsZero() {
			first = at
		}
		last = at
	}
	return first, last
}

// allGone sees whether the one that lives is alone.
func allGone(ctx context.Context, c httpContender, r *row) error {
	made, err := c.client(ctx, op{kind: list})
	if err != nil {
		return err
	}
	defer made.close()
	if size := made.size(); size > 2*bodyKept {
		r.Note = fmt.Sprintf("not all were removed: a list of %s bytes is left", figure(float64(size)))
		r.Goal.Met = false
	}
	return nil
}

// revision is what the last answer says of it, or -1.
func (c *httpClient) revision() int64 {
	_, after, _ := bytes.Cut(c.conn.body, []byte(`"revision":`))
	return digits(after)
}
