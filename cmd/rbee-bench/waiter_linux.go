package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// timerWaiter waits for a timerfd. The runtime's own timers end with an epoll_wait,
// which counts in milliseconds: in a process that has nothing else to do, each request
// would go out up to one too late, and its latency would be mostly that.
type timerWaiter struct {
	fd   int
	file *os.File // the same, in the runtime's poller
}

func newWaiter() (waiter, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	return timerWaiter{fd, os.NewFile(uintptr(fd), "timerfd")}, nil
}

func (w timerWaiter) close() { _ = w.file.Close() }

// fine is the time before a moment that is left to the timerfd, which knows of no
// context.
const fine = 4 * time.Millisecond

func (w timerWaiter) until(ctx context.Context, moment time.Time) {
	if time.Until(moment) > 2*fine {
		sleeper{}.until(ctx, moment.Add(-fine))
	}
	var ticks [8]byte
	for ctx.Err() == nil {
		d := time.Until(moment)
		if d <= 0 {
			return
		}
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
		if err := unix.TimerfdSettime(w.fd, 0, &spec, nil); err != nil {
			sleeper{}.until(ctx, moment)
			return
		}
		if _, err := w.file.Read(ticks[:]); err != nil {
			sleeper{}.until(ctx, moment)
			return
		}
	}
}
