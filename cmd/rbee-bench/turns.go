package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// turn is one server with one kind of request. Several take turns.
type turn struct {
	who  contender
	op   op
	what string  // in the table
	goal float64 // the ratio wanted; none when zero
	note string  // why there are no figures

	clients []client
	next    int64     // the request to go on with
	rates   []float64 // per second, one for each round
	cpu     []float64 // us for each request, likewise
	latency outcome
}

// open opens clients. What the server has not got is a note.
func (t *turn) open(ctx context.Context, connections int) error {
	for range connections {
		c, err := t.who.client(ctx, t.op)
		if errors.Is(err, errNotOffered) {
			t.note = err.Error()
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.who.name(), err)
		}
		t.clients = append(t.clients, c)
	}
	return nil
}

func (t *turn) close() {
	for _, c := range t.clients {
		c.close()
	}
}

// saturate asks as fast as there are answers, for a while.
func (t *turn) saturate(ctx context.Context, d time.Duration) error {
	before, err := t.who.usage(ctx)
	if err != nil {
		return err
	}
	n, took, err := closed(ctx, t.clients, t.next, until(d))
	t.next += n
	if err != nil {
		return fmt.Errorf("%s: %w", t.who.name(), err)
	}
	after, err := t.who.usage(ctx)
	if err != nil {
		return err
	}
	t.rates = append(t.rates, float64(n)/took.Seconds())
	t.cpu = append(t.cpu, float64((after.cpu-before.cpu).Microseconds())/float64(n))
	return nil
}

// ask asks in a closed loop, without noting anything.
func (t *turn) ask(ctx context.Context, more func(made int64) bool) error {
	n, _, err := closed(ctx, t.clients, t.next, more)
	t.next += n
	return err
}

// pace asks at a rate, and notes the latencies.
func (t *turn) pace(ctx context.Context, rate float64, d time.Duration) error {
	l := loop{start: soon(), rate: rate, count: max(int64(rate*d.Seconds()), 1)}
	got, err := l.run(ctx, requests(t.clients, t.next))
	if err != nil {
		return err
	}
	t.next += l.count
	t.latency.add(got)
	return nil
}

// soon leaves the clients time to get ready for the first request.
func soon() time.Time { return time.Now().Add(20 * time.Millisecond) }

func requests(clients []client, first int64) []request {
	var all []request
	for _, c := range clients {
		all = append(all, func(ctx context.Context, i int64) error { return c.do(ctx, first+i) })
	}
	return all
}

// until ends a closed loop after a while.
func until(d time.Duration) func(int64) bool {
	end := time.Now().Add(d)
	return func(int64) bool { return time.Now().Before(end) }
}

// closed is a closed loop: each client asks again as soon as it has an answer, while
// more says so, and thus perhaps once more than it wants. The first failure ends it.
func closed(ctx context.Context, clients []client, first int64, more func(made int64) bool) (n int64, took time.Duration, err error) {
	var (
		next   atomic.Int64
		answer atomic.Int64
		failed atomic.Pointer[error]
		wg     sync.WaitGroup
		start  = time.Now()
	)
	for _, c := range clients {
		wg.Go(func() {
			for failed.Load() == nil && ctx.Err() == nil && more(next.Load()) {
				i := next.Add(1) - 1
				if err := c.do(ctx, first+i); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				answer.Add(1)
			}
		})
	}
	wg.Wait()
	took = time.Since(start)
	n = next.Load()
	switch e := failed.Load(); {
	case ctx.Err() != nil:
		return n, took, context.Cause(ctx)
	case e != nil:
		return n, took, *e
	case answer.Load() == 0:
		return n, took, errors.New("nothing was answered")
	}
	return n, took, nil
}

// measure has all take turns and adds a row for each. The first turn of the bare
// handler is what the others are compared with.
func (b *bench) measure(ctx context.Context, s *section, turns []*turn) error {
	var running []*turn
	for _, t := range turns {
		defer t.close()
		t.latency = newOutcome()
		if err := t.open(ctx, b.connections); err != nil {
			return err
		}
		if t.note == "" {
			running = append(running, t)
		}
	}
	for range b.rounds {
		for _, t := range running {
			if err := t.saturate(ctx, b.saturate); err != nil {
				return err
			}
		}
	}
	for range max(b.rounds/2, 1) {
		for _, t := range running {
			if err := t.pace(ctx, b.fraction*median(t.rates), b.open); err != nil {
				return err
			}
		}
	}
	var bare *turn
	if i := slices.IndexFunc(running, func(t *turn) bool { return t.who.name() == "bare" }); i >= 0 {
		bare = running[i]
	}
	for _, t := range turns {
		s.Rows = append(s.Rows, t.row(bare))
	}
	return nil
}

func (t *turn) row(bare *turn) *row {
	r := &row{What: t.what, Who: t.who.name(), Note: t.note}
	if t.note != "" {
		return r
	}
	rate, cpu := median(t.rates), median(t.cpu)
	r.Values = values{{"per_second", rate}, {"cpu_percent", 100 * rate * cpu / 1e6}, {"cpu_us", cpu}}
	if bare != nil && bare != t && cpu > 0 {
		r.Values = append(r.Values, value{"cpu_ratio", median(bare.cpu) / cpu})
	}
	if t.op.kind == list {
		r.Values = append(r.Values, value{"bytes", float64(t.clients[0].size())})
	}
	r.Values = append(r.Values, value{"open_per_second", t.latency.rate()})
	r.Values = append(r.Values, latencies(t.latency)...)
	if t.latency.failed > 0 {
		r.Note = fmt.Sprintf("%d of %d failed: %v", t.latency.failed, t.latency.count, t.latency.err)
	}
	if bare != nil && bare != t {
		var ratios []float64
		for i := range t.rates {
			ratios = append(ratios, t.rates[i]/bare.rates[i])
		}
		r.compare(median(ratios), t.goal)
	}
	return r
}

func latencies(o outcome) values {
	return values{
		{"p50_ms", millis(o.quantile(50))},
		{"p99_ms", millis(o.quantile(99))},
		{"max_ms", millis(o.max())},
	}
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(numbers []float64) float64 {
	if len(numbers) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(numbers))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
