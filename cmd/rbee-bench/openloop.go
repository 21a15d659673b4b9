package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// request makes the i-th request, and returns when it is answered.
type request func(ctx context.Context, i int64) error

// loop is an open loop: the i-th request is due i/rate after start, whatever became
// of those before it. Its latency counts from that moment, so that a server that
// stalls has all requests against it that were due meanwhile, and not only the few
// that were under way.
type loop struct {
	start time.Time
	rate  float64       // requests per second
	count int64         // requests in all
	late  time.Duration // answered so long after it was due, a request is late; none is when zero

	waiter func() (waiter, error) // the system's when nil
}

// waiter waits for moments, for one goroutine.
type waiter interface {
	until(ctx context.Context, moment time.Time)
	close()
}

// outcome is what came of a loop.
type outcome struct {
	latency *hdrhistogram.Histogram // ns; of failed requests, too
	count   int64
	failed  int64 // refused, cut, or not even sent by the end
	late    int64
	took    time.Duration // from the moment the first was due to the last answer
	err     error         // the first failure
}

// newHistogram takes what lies between a microsecond and two minutes, in ns.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1_000, int64(2*time.Minute), 3)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 0), h.HighestTrackableValue()))
}

// due is when the i-th request is to be sent.
func (l loop) due(i int64) time.Time {
	return l.start.Add(time.Duration(float64(i) / l.rate * float64(time.Second)))
}

// run makes the requests, each request function one at a time. When all are busy as a
// request falls due, the next that is done makes it at once. What is due when ctx ends,
// and not answered, has failed.
func (l loop) run(ctx context.Context, requests []request) (outcome, error) {
	parts, err := l.runParts(ctx, requests, nil)
	if err != nil {
		return outcome{}, err
	}
	return parts[0], nil
}

// runParts is run with an outcome for the requests before the first bound, one for
// those from there to the next, and so on. What they took is that of all.
func (l loop) runParts(ctx context.Context, requests []request, bounds []int64) ([]outcome, error) {
	newWait := l.waiter
	if newWait == nil {
		newWait = newWaiter
	}
	waiters := make([]waiter, len(requests))
	for i := range waiters {
		w, err := newWait()
		if err != nil {
			return nil, err
		}
		defer w.close()
		waiters[i] = w
	}
	var (
		next  atomic.Int64
		found = make([][]outcome, len(requests))
		wg    sync.WaitGroup
	)
	for i, do := range requests {
		found[i] = newOutcomes(len(bounds) + 1)
		wg.Go(func() { l.worker(ctx, &next, waiters[i], do, bounds, found[i]) })
	}
	wg.Wait()
	all := newOutcomes(len(bounds) + 1)
	for i := range all {
		for _, parts := range found {
			all[i].add(parts[i])
		}
		all[i].took = time.Since(l.start)
	}
	return all, nil
}

// worker takes the next request that nobody has, until there are no more.
func (l loop) worker(ctx context.Context, next *atomic.Int64, w waiter, do request, bounds []int64, parts []outcome) {
	for {
		i := next.Add(1) - 1
		if i >= l.count {
			return
		}
		due := l.due(i)
		w.until(ctx, due)
		err := ctx.Err()
		switch {
		case err == nil:
			err = do(ctx, i)
		case time.Until(due) > 0:
			return
		}
		latency := time.Since(due)
		part := 0
		for part < len(bounds) && i >= bounds[part] {
			part++
		}
		parts[part].note(latency, l.late, err)
	}
}

func newOutcomes(n int) []outcome {
	all := make([]outcome, n)
	for i := range all {
		all[i] = newOutcome()
	}
	return all
}

func newOutcome() outcome { return outcome{latency: newHistogram()} }

func (o *outcome) note(latency, late time.Duration, err error) {
	o.count++
	record(o.latency, latency)
	if late > 0 && latency > late {
		o.late++
	}
	if err != nil {
		o.failed++
		if o.err == nil {
			o.err = err
		}
	}
}

// add merges what another loop, or a part of one, has come to.
func (o *outcome) add(other outcome) {
	o.latency.Merge(other.latency)
	o.count += other.count
	o.failed += other.failed
	o.late += other.late
	o.took += other.took
	if o.err == nil {
		o.err = other.err
	}
}

// rate is answers per second.
func (o outcome) rate() float64 {
	if o.took <= 0 {
		return 0
	}
	return float64(o.count-o.failed) / o.took.Seconds()
}

func (o outcome) quantile(q float64) time.Duration {
	return time.Duration(o.latency.ValueAtQuantile(q))
}

func (o outcome) max() time.Duration { return time.Duration(o.latency.Max()) }

// sleeper waits with the runtime's timers, which an idle process has to the
// millisecond.
type sleeper struct{}

func newSleeper() (waiter, error) { return sleeper{}, nil }

func (sleeper) close() {}

func (sleeper) until(ctx context.Context, moment time.Time) {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
