package ports

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/rbee-launch/rbee-launch/internal/lockfile"
)

// DefaultDir is where leases live unless Config says otherwise. It does not follow
// $TMPDIR, which is a directory per user on some systems: leases are for all users.
const DefaultDir = "/tmp/rbee-ports"

// ComfyUIPort is left to ComfyUI, which people start by hand on its own default,
// unless Config asks for it.
const ComfyUIPort = 8188

// Config says which ports may be handed out. The zero value is useful.
type Config struct {
	Range Range  // DefaultRange when zero
	Dir   string // of the lock files; DefaultDir when empty; made with mode 01777 when missing
	Avoid []int  // never handed out by Acquire; nil means ComfyUIPort, an empty slice none
}

// candidates are the ports to try, low to high. A range of one port asks for it.
func (c Config) candidates() (Range, []int, error) {
	r := c.Range
	if r == (Range{}) {
		r = DefaultRange()
	}
	if err := r.check(); err != nil {
		return r, nil, err
	}
	avoid := c.Avoid
	if avoid == nil && r.First != r.Last {
		avoid = []int{ComfyUIPort}
	}
	var list []int
	for port := r.First; port <= r.Last; port++ {
		if !slices.Contains(avoid, port) {
			list = append(list, port)
		}
	}
	if len(list) == 0 {
		return r, nil, fmt.Errorf("port range %s: every port in it is to be avoided", r)
	}
	return r, list, nil
}

// Lease is the right to one port, until Release or the end of this process. Keep
// it reachable as long as the port is used.
type Lease struct {
	port int

	mu   sync.Mutex
	dir  lockDir
	lock *lockfile.File // nil once released
}

// Port is the leased port, 1-65535.
func (l *Lease) Port() int { return l.port }

// File holds the lease, and Path is its lock file: for a second process that is to hold
// the lease, too, and to remove the lock file should it be the last. The file stays the
// lease's to close.
func (l *Lease) File() (f *os.File, path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lock.File(), l.dir.path(l.port)
}

// Renew takes the lease anew when its lock file is gone, as with the folder that it was in,
// and reports whether that was needed: File is another one then. It fails when another
// launcher has leased the port meanwhile; the port itself is then whose it was.
func (l *Lease) Renew(ctx context.Context) (anew bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lock == nil {
		return false, nil // released
	}
	if current, err := l.lock.IsAt(l.dir.path(l.port)); current && err == nil {
		return false, nil
	}
	dir, err := openLockDir(string(l.dir))
	if err != nil {
		return false, fmt.Errorf("renew the lease of port %d: %w", l.port, err)
	}
	lock, err := dir.lock(ctx, l.port)
	if err != nil {
		return false, fmt.Errorf("renew the lease of port %d: %w", l.port, err)
	}
	_ = dir.sign(ctx, l.port) // for people alone, as in try
	_ = l.lock.Unlock()       // it locked nobody out any more
	l.lock = lock
	return true, nil
}

// Resume is the lease of port whose File another process has held until now. The caller
// releases the lease, which f belongs to from now on.
func Resume(ctx context.Context, cfg Config, port int, f *os.File) (*Lease, error) {
	dir, err := openLockDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("resume the lease of port %d: %w", port, err)
	}
	_ = dir.sign(ctx, port) // for people alone, as in try
	return &Lease{port: port, dir: dir, lock: lockfile.Inherited(f)}, nil
}

// Release gives the port back and removes its lock file. Further calls do nothing.
func (l *Lease) Release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lock == nil {
		return nil
	}
	err := l.dir.release(l.port, l.lock)
	l.lock = nil
	if err != nil {
		return fmt.Errorf("release port %d: %w", l.port, err)
	}
	return nil
}

// Acquire leases the lowest free port of the range. When there is none the error
// is an *ExhaustedError; when ctx ends it wraps ctx's error. The caller releases
// the lease.
func Acquire(ctx context.Context, cfg Config) (*Lease, error) {
	r, candidates, err := cfg.candidates()
	if err != nil {
		return nil, err
	}
	dir, err := openLockDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("lease a port in %s: %w", r, err)
	}
	var taken, leased []int
	var unusable error // ports that are free as far as we know, but not for us
	for _, port := range candidates {
		lease, err := dir.try(ctx, port)
		switch {
		case err == nil:
			return lease, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("lease a port in %s: %w", r, ctx.Err())
		case errors.Is(err, errLeased):
			leased = append(leased, port)
			taken = append(taken, port)
		case errors.Is(err, errInUse):
			taken = append(taken, port)
		case unusable == nil:
			unusable = fmt.Errorf("port %d: %w", port, err)
		}
	}
	if len(taken) == 0 {
		return nil, fmt.Errorf("lease a port in %s: %w", r, unusable)
	}
	return nil, &ExhaustedError{Range: r, Holders: dir.holders(ctx, taken, leased), Unusable: unusable}
}

// AcquirePort leases exactly port, also one that Acquire avoids. When another has
// it the error is a *TakenError; the range in cfg does not matter. The caller
// releases the lease.
func AcquirePort(ctx context.Context, cfg Config, port int) (*Lease, error) {
	if err := checkPort(port); err != nil {
		return nil, fmt.Errorf("lease port %d: %w", port, err)
	}
	dir, err := openLockDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("lease port %d: %w", port, err)
	}
	lease, err := dir.try(ctx, port)
	switch {
	case err == nil:
		return lease, nil
	case errors.Is(err, errLeased):
		return nil, &TakenError{Holder: dir.holders(ctx, []int{port}, []int{port})[0]}
	case errors.Is(err, errInUse):
		return nil, &TakenError{Holder: dir.holders(ctx, []int{port}, nil)[0]}
	default:
		return nil, fmt.Errorf("lease port %d: %w", port, err)
	}
}

// Why one port can't be had; Acquire goes on to the next.
var (
	errLeased = errors.New("leased by another launcher")
	errInUse  = errors.New("in use")
)

// try leases one port: the lock first, so that no two launchers probe the same
// port at once and each take the other's probe for a stranger.
func (d lockDir) try(ctx context.Context, port int) (*Lease, error) {
	lock, err := d.lock(ctx, port)
	if err != nil {
		return nil, err
	}
	if err := probe(ctx, port); err != nil {
		return nil, errors.Join(err, d.release(port, lock))
	}
	_ = d.sign(ctx, port) // for people alone: a full disk costs them the name, not us the port
	return &Lease{port: port, dir: d, lock: lock}, nil
}
