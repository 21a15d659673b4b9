package inventory

import (
	"log/slog"
	"sync"
)

// repetitions keep a failure that comes with every look from filling the log.
type repetitions struct {
	mu    sync.Mutex
	times map[string]int // since it last went well
}

// tell logs err the 1st, 10th and every 100th time in a row. A nil err ends the row.
func (r *repetitions) tell(log *slog.Logger, what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.times, what)
		return
	}
	if r.times == nil {
		r.times = map[string]int{}
	}
	r.times[what]++
	if n := r.times[what]; n == 1 || n == 10 || n%100 == 0 {
		log.Warn("could not look at everything", "what", what, "err", err, "times", n)
	}
}
