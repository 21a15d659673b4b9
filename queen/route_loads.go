package queen

import (
	"math/rand/v2"
	"sync"
	"time"
)

// passedOver is for how long a worker that broke off, or could not be reached, is not
// asked while others serve the model.
const passedOver = time.Second

// loads counts the requests that are with each worker now. It is counted by address
// and by nothing else: a list of the registry, a heartbeat or a new registration leaves
// the counts alone.
type loads struct {
	mu sync.Mutex
	at map[string]*load // by URL; those alone that are busy, or failed a moment ago
}

type load struct {
	running int
	until   time.Time // when it may be asked again like others
}

func newLoads() *loads { return &loads{at: map[string]*load{}} }

// take chooses one of the workers, of which there is at least one, and counts a request
// there. The caller releases it, once.
func (l *loads) take(now time.Time, able []target) (target, *load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	states := make([]load, len(able))
	for i, w := range able {
		if known := l.at[w.url]; known != nil {
			states[i] = *known
		}
	}
	chosen := able[chooseWorker(now, states, rand.IntN)]
	held := l.at[chosen.url]
	if held == nil {
		held = &load{}
		l.at[chosen.url] = held
	}
	held.running++
	return chosen, held
}

// chooseWorker is the index of the one with the fewest requests among those that did not fail
// a moment ago, or among all when all did. Of equals, any: draw is below its argument.
func chooseWorker(now time.Time, states []load, draw func(int) int) int {
	var best []int
	for i, s := range states {
		if len(best) == 0 {
			best = []int{i}
			continue
		}
		b := states[best[0]]
		failed, bestFailed := now.Before(s.until), now.Before(b.until)
		switch {
		case failed != bestFailed && bestFailed, failed == bestFailed && s.running < b.running:
			best = []int{i}
		case failed == bestFailed && s.running == b.running:
			best = append(best, i)
		}
	}
	return best[draw(len(best))]
}

// release takes the request off the load that take gave.
func (l *loads) release(now time.Time, url string, held *load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held.running--
	l.tidy(now, url, held)
}

// failed has the worker passed over for a moment. It reports whether that is news: many
// requests may fail at the same death.
func (l *loads) failed(now time.Time, held *load) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	news = !now.Before(held.until)
	held.until = now.Add(passedOver)
	for url, other := range l.at {
		l.tidy(now, url, other)
	}
	return news
}

func (l *loads) tidy(now time.Time, url string, held *load) {
	if held.running == 0 && !now.Before(held.until) {
		delete(l.at, url)
	}
}
