package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// signals turns the first signal into the end of a context, the second into hurry.
type signals struct {
	ctx    context.Context
	cancel context.CancelFunc
	hurry  chan struct{}
	caught chan os.Signal
	broken chan os.Signal // SIGPIPE, apart: a flood of them must not crowd out the others
	passed chan os.Signal // what PassOn gives
	done   chan struct{}

	hangups atomic.Bool // are among those

	mu    sync.Mutex
	first os.Signal
}

func catchSignals() *signals {
	ctx, cancel := context.WithCancel(context.Background())
	s := &signals{
		ctx: ctx, cancel: cancel, hurry: make(chan struct{}),
		caught: make(chan os.Signal, 2), broken: make(chan os.Signal, 1),
		passed: make(chan os.Signal, 16), done: make(chan struct{}),
	}
	signal.Notify(s.caught, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	signal.Notify(s.broken, syscall.SIGPIPE)
	go s.run()
	return s
}

func (s *signals) run() {
	defer close(s.done)
	for hurried := false; ; {
		select {
		case sig, ok := <-s.caught:
			switch {
			case !ok:
				return
			case sig == syscall.SIGHUP && s.hangups.Load():
			case s.ctx.Err() == nil:
				s.mu.Lock()
				s.first = sig
				s.mu.Unlock()
				s.cancel()
			case !hurried:
				hurried = true
				close(s.hurry)
			}
		case <-s.broken:
			// When whoever read our output has gone, that is a stop like any other, and
			// one that cleans up. Clients that hang up on a server cause the signal, too.
			if OutputGone() {
				s.cancel()
			}
		}
	}
}

// OutputGone reports whether stdout or stderr can't be read by anybody any more.
func OutputGone() bool {
	fds := []unix.PollFd{{Fd: 1}, {Fd: 2}} // what we look for is told unasked
	if _, err := unix.Poll(fds, 0); err != nil {
		return false // the next line that we print brings the next signal
	}
	const gone = unix.POLLERR | unix.POLLHUP
	return (fds[0].Revents|fds[1].Revents)&gone != 0
}

func (s *signals) stop() {
	signal.Stop(s.caught)
	signal.Stop(s.broken)
	signal.Stop(s.passed)
	close(s.caught)
	<-s.done
	s.cancel()
}

// signal is the first one, or nil.
func (s *signals) signal() os.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

func (s *signals) interrupted() bool { return s.signal() == syscall.SIGINT }
