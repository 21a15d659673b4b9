package guard

import (
	"net"
	"os"
	"sync"
	"time"
)

const (
	// maxUnread bounds the lines of output that wait for the program. A child that prints
	// faster than that is read is slowed down, as by any pipe.
	maxUnread = 10_000
	// stuckAfter is how long a program may read nothing before it is taken for stopped:
	// then lines are left out, which the log has. The child goes on.
	stuckAfter = time.Second
)

// outlet tells the program things in order, from a goroutine of its own, so that a
// program that does not read holds up no child. Methods of a nil outlet do nothing.
type outlet struct {
	conn *net.UnixConn
	wake chan struct{}
	done chan struct{} // closed when nothing is sent any more

	mu     sync.Mutex
	queue  []message
	unread int            // lines that were not sent yet
	missed map[uint64]int // lines that were left out since something was sent, by child
	sent   chan struct{}  // closed when something has been sent, and replaced
	stuck  bool           // nothing was, for too long
	closed bool
}

type message struct {
	report
	files []*os.File
}

func newOutlet(conn *net.UnixConn) *outlet {
	o := &outlet{conn: conn, wake: make(chan struct{}, 1), done: make(chan struct{}), sent: make(chan struct{}), missed: map[uint64]int{}}
	go o.run()
	return o
}

// tell queues a report, with files that stay the caller's and stay open.
func (o *outlet) tell(r report, files ...*os.File) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.confess(r.Child)
	o.queue = append(o.queue, message{r, files})
	o.poke()
}

// lines queues output; where far too much waits already it is only counted.
func (o *outlet) lines(child uint64, lines []Line) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.unread > 2*maxUnread || (o.stuck && o.unread >= maxUnread) {
		o.missed[child] += len(lines)
		return
	}
	last := len(o.queue) - 1
	if last < 0 || o.queue[last].News != newsLines || o.queue[last].Child != child || len(o.queue[last].Lines) > keptLines {
		o.queue = append(o.queue, message{report: report{News: newsLines, Child: child}})
		last++
	}
	o.unread += len(lines)
	o.queue[last].Lines = append(o.queue[last].Lines, onWire(lines)...)
	o.poke()
}

// confess queues how many lines of a child were left out, if any. The lock is held.
func (o *outlet) confess(child uint64) {
	if n := o.missed[child]; n > 0 {
		delete(o.missed, child)
		o.queue = append(o.queue, message{report: report{News: newsLines, Child: child, Dropped: n}})
		o.poke()
	}
}

func (o *outlet) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outlet) run() {
	defer close(o.done)
	for range o.wake {
		o.mu.Lock()
		queue, closed := o.queue, o.closed
		o.queue = nil
		o.mu.Unlock()
		if o.send(queue) != nil {
			return // a program that is gone shows as the end of its requests
		}
		if closed {
			return
		}
	}
}

// chunk is about how much is written at once, in bytes: each write wakes the program.
const chunk = 32 << 10

// send writes messages, small ones together.
func (o *outlet) send(queue []message) error {
	var text []byte
	lines := 0
	flush := func() error {
		if len(text) == 0 {
			return nil
		}
		_, err := o.conn.Write(text)
		o.progress(lines)
		text, lines = text[:0], 0
		return err
	}
	for _, m := range queue {
		if len(m.files) > 0 || len(text) >= chunk {
			if err := flush(); err != nil {
				return err
			}
		}
		if len(m.files) > 0 {
			if err := send(o.conn, m.report, m.files); err != nil {
				return err
			}
			continue
		}
		one, err := encode(m.report)
		if err != nil {
			return err
		}
		text, lines = append(text, one...), lines+len(m.Lines)
	}
	return flush()
}

func (o *outlet) progress(lines int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unread -= lines
	o.stuck = false
	for child := range o.missed { // it reads again
		o.confess(child)
	}
	close(o.sent)
	o.sent = make(chan struct{})
}

// room waits until there is room for more lines, as long as the program reads at all.
func (o *outlet) room() {
	if o == nil {
		return
	}
	for {
		o.mu.Lock()
		full, sent := o.unread >= maxUnread && !o.stuck && !o.closed, o.sent
		o.mu.Unlock()
		if !full {
			return
		}
		limit := time.NewTimer(stuckAfter)
		select {
		case <-sent:
		case <-o.done:
			limit.Stop()
			return
		case <-limit.C:
			o.mu.Lock()
			o.stuck = true
			o.mu.Unlock()
		}
		limit.Stop()
	}
}

// flushLimit is how long a program that does not read is waited for at the end.
const flushLimit = time.Second

// close sends what waits and hangs up.
func (o *outlet) close() {
	if o == nil {
		return
	}
	o.mu.Lock()
	o.closed = true
	o.poke()
	o.mu.Unlock()
	limit := time.NewTimer(flushLimit)
	defer limit.Stop()
	select {
	case <-o.done:
	case <-limit.C:
	}
	_ = o.conn.Close()
}
