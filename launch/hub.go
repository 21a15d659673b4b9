package launch

import "sync"

const (
	pastEvents = 200  // kept for those who listen later
	unreadMax  = 1000 // events and lines that wait for one listener
)

// hub passes a launch's events on to any number of listeners. None of them can hold the
// launch up: one that reads too slowly is cut off.
type hub struct {
	mu    sync.Mutex
	past  []Event
	heard map[chan Event]bool // by listener: whether it wants output, too
	over  bool
}

func newHub() *hub { return &hub{heard: map[chan Event]bool{}} }

// say tells everybody, and remembers what is worth it.
func (h *hub) say(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.Event != Progress && e.Event != Output {
		h.past = append(h.past, e)
		if len(h.past) > pastEvents {
			h.past = append(h.past[:0], h.past[1:]...)
		}
	}
	for listener, output := range h.heard {
		if e.Event == Output && !output {
			continue
		}
		select {
		case listener <- e:
		default:
			close(listener)
			delete(h.heard, listener)
		}
	}
}

// listens reports whether a listener wants output.
func (h *hub) listens() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, output := range h.heard {
		if output {
			return true
		}
	}
	return false
}

// listen gives what has happened and a channel of what will; that is closed at the end,
// and when the listener is too slow. The caller calls done.
func (h *hub) listen(output bool) (past []Event, events <-chan Event, done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	listener := make(chan Event, unreadMax)
	if h.over {
		close(listener)
	} else {
		h.heard[listener] = output
	}
	return append([]Event(nil), h.past...), listener, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.heard, listener)
	}
}

// close tells the last event, if there is one, and ends all listening.
func (h *hub) close(last ...Event) {
	for _, e := range last {
		h.say(e)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	for listener := range h.heard {
		close(listener)
	}
	clear(h.heard)
}
