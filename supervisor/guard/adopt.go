package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// ErrBusy means that the guard has a program, which lives.
var ErrBusy = errors.New("another program has this guard")

// BusyError is ErrBusy, and says which program that is.
type BusyError struct {
	PID int // 0 when unknown
}

func (e *BusyError) Error() string { return fmt.Sprintf("%v, pid %d", ErrBusy, e.PID) }

func (e *BusyError) Unwrap() error { return ErrBusy }

// Entrust makes the guard hold a locked file (package internal/lockfile), too, under a
// name and in place of the one that had it: the lock outlives the program as long as a
// child that is kept. When the guard ends after the program, it removes the paths, of
// which the first is the file's own and says by being that file that they are still ours.
// The file stays the caller's to close.
func (g *Guard) Entrust(name string, f *os.File, remove ...string) error {
	err := g.ask(request{Op: opEntrust, Name: name, Remove: remove, files: []*os.File{f}})
	if err != nil {
		return fmt.Errorf("entrust %s to the guard: %w", name, err)
	}
	return nil
}

// Release makes the guard forget a file that was entrusted.
func (g *Guard) Release(name string) error {
	return g.ask(request{Op: opRelease, Name: name})
}

// Listen gives the guard the socket at which Adopt finds it once this program is gone.
// The listener stays the caller's to close; the guard has its own copy.
func (g *Guard) Listen(ln *net.UnixListener) error {
	f, err := ln.File()
	if err != nil {
		return fmt.Errorf("give the guard a socket: %w", err)
	}
	defer f.Close()
	if err := g.ask(request{Op: opListen, files: []*os.File{f}}); err != nil {
		return fmt.Errorf("give the guard a socket: %w", err)
	}
	return nil
}

// Leave makes the guard keep a child when this program ends, for another one that comes
// at once: unless the child is kept anyway, it is ended after half a minute.
func (c *Child) Leave() error {
	return c.g.ask(request{Op: opLeave, Child: c.id})
}

// Legacy is what a guard had when its program died.
type Legacy struct {
	Children []*Child            // in the order of their start
	Files    map[string]*os.File // what was entrusted; the caller's to close
}

// Adopt takes over the guard that listens at conn's other end, whose program is gone.
// The caller closes the Guard, to which conn belongs from then on. It fails with a *BusyError
// when the guard has a program; the conn is closed then, too.
//
// It does not follow the children's output until Follow.
func Adopt(ctx context.Context, conn *net.UnixConn) (*Guard, Legacy, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	var hello report
	files, err := receive(conn, &hello)
	if !stop() {
		err = errors.Join(context.Cause(ctx), err)
	}
	switch {
	case err != nil:
	case hello.News == newsBusy:
		err = &BusyError{PID: hello.PID}
	case hello.News != newsHello || len(files) != len(hello.Held):
		err = fmt.Errorf("the guard says %q with %d files: it is of another version", hello.News, len(files))
	}
	if err != nil {
		for _, f := range files {
			_ = f.Close()
		}
		return nil, Legacy{}, errors.Join(fmt.Errorf("take a guard over: %w", err), conn.Close())
	}
	g := &Guard{conn: conn, self: identity{hello.PID, hello.Start}, read: make(chan struct{}), children: map[uint64]*Child{}}
	legacy := Legacy{Files: map[string]*os.File{}}
	for i, name := range hello.Held {
		legacy.Files[name] = files[i]
	}
	for _, r := range hello.Wards {
		c := newChild(g)
		c.id, c.pid, c.start, c.cgroup = r.Child, r.PID, r.Start, cgroup(r.Cgroup)
		if r.News == newsExited {
			c.take(r)
		}
		g.home = cmp.Or(g.home, c.cgroup.home())
		g.children[c.id] = c
		g.next = max(g.next, c.id)
		legacy.Children = append(legacy.Children, c)
	}
	go g.listen()
	return g, legacy, nil
}

// Follow returns the last lines that the child printed, 200 at most, and has those to
// come told from now on. It is for a child of Adopt; call it once.
func (c *Child) Follow(ctx context.Context, out Output) ([]Line, error) {
	c.output = out // read only after the guard's answer to what follows
	if err := c.g.ask(request{Op: opFollow, Child: c.id}); err != nil {
		return nil, fmt.Errorf("follow pid %d: %w", c.pid, err)
	}
	select {
	case tail := <-c.tail:
		return tail, nil
	case <-c.gone:
		return nil, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("follow pid %d: %w", c.pid, context.Cause(ctx))
	}
}
