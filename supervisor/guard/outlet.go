package guard

import (
	"net"
	"os"
	"sync"
	"time"
)

// maxUnread bounds the lines of output that wait for a program which does not read:
// one that is stopped. The log has them all.
const maxUnread = 10_000

// outlet tells the program things in order, from a goroutine of its own, so that a
// program that does not read holds up no child. Methods of a nil outlet do nothing.
type outlet struct {
	conn *net.UnixConn
	wake chan struct{}
	done chan struct{} // closed when nothing is sent any more

	mu     sync.Mutex
	queue  []message
	unread int // lines in queue
	closed bool
}

type message struct {
	report
	files []*os.File
}

func newOutlet(conn *net.UnixConn) *outlet {
	o := &outlet{conn: conn, wake: make(chan struct{}, 1), done: make(chan struct{})}
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
	o.queue = append(o.queue, message{r, files})
	o.poke()
}

// lines queues output; where too much waits already it is only counted.
func (o *outlet) lines(child uint64, lines []Line) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	last := len(o.queue) - 1
	if last < 0 || o.queue[last].News != newsLines || o.queue[last].Child != child || len(o.queue[last].Lines) > keptLines {
		o.queue = append(o.queue, message{report: report{News: newsLines, Child: child}})
		last++
	}
	if o.unread+len(lines) > maxUnread {
		o.queue[last].Dropped += len(lines)
		return
	}
	o.unread += len(lines)
	o.queue[last].Lines = append(o.queue[last].Lines, onWire(lines)...)
	o.poke()
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
		o.queue, o.unread = nil, 0
		o.mu.Unlock()
		for _, m := range queue {
			if send(o.conn, m.report, m.files) != nil {
				return // a program that is gone shows as the end of its requests
			}
		}
		if closed {
			return
		}
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
