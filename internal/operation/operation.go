package operation

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/hive/client"
)

// maxEvents bounds what is kept of one operation: a start that has more to tell than this
// repeats itself.
const maxEvents = 1000

// ErrLeaving means that the server is going, and begins nothing more; ErrKnown that there is
// an operation of that id already.
var (
	ErrLeaving = errors.New("the server is going")
	ErrKnown   = errors.New("there is an operation of that id already")
)

// Work does what an operation is for, and ends it with Running.End. It is to return soon
// after ctx has ended, since the server goes then, with the operation ended or not; and
// to heed Running.Cancelled.
type Work func(ctx context.Context, op *Running)

// Store keeps operations, and runs their work. Make it with New; it is safe for
// concurrent use.
type Store struct {
	path string // below which they are, with a slash at its end
	keep int

	leaving chan struct{} // closed at the end of Run
	wake    chan struct{} // holds one when there is work waiting

	mu      sync.Mutex
	left    bool
	waiting []func(context.Context)
	byID    map[string]*Running
	order   []string // of their ids, the oldest first
}

// New makes a store whose operations are served below path, which ends with a slash. So
// many finished ones are kept.
func New(path string, keep int) *Store {
	return &Store{
		path: path, keep: keep, byID: map[string]*Running{},
		leaving: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// Run does the work of the operations until ctx ends, waits for it to return, and returns
// nil. Those who follow are told that the server goes as soon as ctx ends. It runs once.
func (s *Store) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	for {
		for _, work := range s.next() {
			tasks.Go(func() { work(ctx) })
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			s.leave()
			return nil
		}
	}
}

func (s *Store) next() []func(context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	work := s.waiting
	s.waiting = nil
	return work
}

func (s *Store) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
	close(s.leaving)
}

// Begin adds an operation, with an id of its own unless it has one, and has Run do its
// work. It fails with ErrLeaving, or with ErrKnown for an id that was given.
func (s *Store) Begin(op client.Operation, work Work) (*Running, error) {
	if op.ID == "" {
		op.ID = ulid.Make().String()
	}
	if op.StartedAt.IsZero() {
		op.StartedAt = time.Now().UTC()
	}
	op.Status, op.EventsURL = client.Running, s.at(op.ID)+"/events"
	r := &Running{op: op, cancelled: make(chan struct{}), grown: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return nil, ErrLeaving
	}
	if s.byID[op.ID] != nil {
		return nil, ErrKnown
	}
	s.byID[op.ID] = r
	s.order = append(s.order, op.ID)
	s.forget()
	s.waiting = append(s.waiting, func(ctx context.Context) { work(ctx, r) })
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
	return r, nil
}

// at is the path of an operation, whose id another server may have chosen.
func (s *Store) at(id string) string { return s.path + url.PathEscape(id) }

// forget drops the oldest of those that have ended, if there are too many.
func (s *Store) forget() {
	ended := 0
	for _, id := range s.order {
		if s.byID[id].Operation().Status != client.Running {
			ended++
		}
	}
	kept := s.order[:0]
	for _, id := range s.order {
		if ended > s.keep && s.byID[id].Operation().Status != client.Running {
			delete(s.byID, id)
			ended--
			continue
		}
		kept = append(kept, id)
	}
	s.order = kept
}

// Get is the operation with the id, nil if there is none.
func (s *Store) Get(id string) *Running {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// List is all operations, the newest first.
func (s *Store) List() []client.Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]client.Operation, 0, len(s.order))
	for i := len(s.order) - 1; i >= 0; i-- {
		list = append(list, s.byID[s.order[i]].Operation())
	}
	return list
}

// Running is one operation, which may have ended.
type Running struct {
	cancelled chan struct{}
	once      sync.Once

	mu      sync.Mutex
	op      client.Operation
	events  []client.Event
	passing *client.Event // the last one that is not kept
	changes int           // of passing
	grown   chan struct{} // closed, and replaced, when there is something new
}

// Operation is how it stands.
func (r *Running) Operation() client.Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.op
}

// Cancel asks for its end, and does not wait for that.
func (r *Running) Cancel() { r.once.Do(func() { close(r.cancelled) }) }

// Cancelled is closed when somebody wants it to end.
func (r *Running) Cancelled() <-chan struct{} { return r.cancelled }

// Tell adds an event, which gets the next place. What happens after the end is not told.
func (r *Running) Tell(e client.Event) {
	r.change(func() {
		if len(r.events) < maxEvents {
			e.Seq = len(r.events) + 1
			r.events = append(r.events, e)
		}
		r.op.Phase, r.passing = e.Name, nil // what passed before it is old
	})
}

// Pass tells an event that only those get who follow now.
func (r *Running) Pass(e client.Event) {
	r.change(func() { r.passing, r.changes = &e, r.changes+1 })
}

// Set changes what is known of the operation.
func (r *Running) Set(do func(*client.Operation)) { r.change(func() { do(&r.op) }) }

// End ends it: do says how. Later ends change nothing.
func (r *Running) End(do func(*client.Operation)) { r.EndAt(time.Now(), do) }

// EndAt is End for what has ended before, at zero if nobody knows when.
func (r *Running) EndAt(at time.Time, do func(*client.Operation)) {
	r.change(func() {
		do(&r.op)
		r.op.EndedAt = at.UTC()
		if r.op.Error != nil {
			r.op.Status = client.Failed
		} else {
			r.op.Status = client.Succeeded
		}
	})
}

func (r *Running) change(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.op.Status != client.Running {
		return
	}
	do()
	close(r.grown)
	r.grown = make(chan struct{})
}

// news is what somebody has not seen yet who has seen so many events, and so many changes
// of what passes.
type news struct {
	events  []client.Event
	passing *client.Event
	changes int
	op      client.Operation
	grown   <-chan struct{}
}

func (r *Running) news(seen, changes int) news {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := news{op: r.op, grown: r.grown, changes: r.changes}
	if seen < len(r.events) {
		n.events = r.events[seen:len(r.events):len(r.events)] // only ever added to
	}
	if changes != r.changes {
		n.passing = r.passing
	}
	return n
}
