package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// maxUnread bounds the lines that wait for a reader who has stopped to read: a
	// terminal under Ctrl-S, a pager. What is beyond is in the child's log.
	maxUnread = 2000
	// lastWords is how long such a reader is waited for at the end.
	lastWords = time.Second
)

// printer writes what is shown from a goroutine of its own, so that a reader who is
// slow or gone holds up neither the supervisor nor the child.
type printer struct {
	mu      sync.Mutex
	queue   []piece
	dropped int // lines, since the last that was taken
	closed  bool
	wake    chan struct{}
	done    chan struct{}
}

type piece struct {
	w    io.Writer
	text string
}

func newPrinter() *printer {
	p := &printer{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go p.run()
	return p
}

// print queues text that must not be lost.
func (p *printer) print(w io.Writer, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(w, text)
}

// printLine queues a line that may be left out when too many wait already.
func (p *printer) printLine(w io.Writer, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) >= maxUnread {
		p.dropped++
		return
	}
	if p.dropped > 0 {
		p.add(w, fmt.Sprintf("[%d lines are not shown, only logged]\n", p.dropped))
		p.dropped = 0
	}
	p.add(w, line+"\n")
}

func (p *printer) add(w io.Writer, text string) {
	p.queue = append(p.queue, piece{w, text})
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *printer) run() {
	defer close(p.done)
	for range p.wake {
		p.mu.Lock()
		queue := p.queue
		p.queue = nil
		closed := p.closed
		p.mu.Unlock()
		for _, q := range queue {
			_, _ = io.WriteString(q.w, q.text) // nobody reads any more: SIGPIPE ends us
		}
		if closed {
			return
		}
	}
}

// close prints what waits. A reader who takes nothing is given up after a second:
// the goroutine that hangs in the write ends with the process.
func (p *printer) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	limit := time.NewTimer(lastWords)
	defer limit.Stop()
	select {
	case <-p.done:
	case <-limit.C:
	}
}
