package ports

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	psnet "github.com/shirou/gopsutil/v3/net"
	"github.com/shirou/gopsutil/v3/process"

	"github.com/rbee-launch/rbee-launch/internal/sockdiag"
)

// Process names a process as far as the system tells this user; zero is unknown.
type Process struct {
	PID     int    `json:"pid,omitempty"`
	Program string `json:"program,omitempty"`
}

// String is "redis-server (pid 42)".
func (p Process) String() string {
	switch {
	case p.PID == 0:
		return "an unknown process"
	case p.Program == "":
		return fmt.Sprintf("a process (pid %d)", p.PID)
	}
	return fmt.Sprintf("%s (pid %d)", p.Program, p.PID)
}

// Holder says who has a port. A leased port without a listener belongs to a
// launcher whose child has not bound yet; a listener without a lease is a stranger.
type Holder struct {
	Port      int     `json:"port"`
	Leased    bool    `json:"leased"`            // by a living launcher
	Launcher  Process `json:"launcher,omitzero"` // who holds the lease
	Listening bool    `json:"listening"`         // a socket listens there
	Listener  Process `json:"listener,omitzero"` // who listens, or else has a connection from there
}

// String is "8080 redis-server (pid 42)", with the process that is easiest to
// recognise: the one that listens, else the launcher.
func (h Holder) String() string { return fmt.Sprintf("%d %s", h.Port, h.who()) }

func (h Holder) who() string {
	if h.Listener == (Process{}) && h.Leased {
		return "leased by " + h.Launcher.String()
	}
	return h.Listener.String()
}

// Leases lists the ports of the range, low to high, that a launcher has leased or
// that a program has a socket on. It changes nothing and disturbs no lease. A
// socket that is bound without listening shows only if it is leased, and a lease
// only if its launcher is a process that this one can see.
func Leases(ctx context.Context, cfg Config) ([]Holder, error) {
	cfg.Avoid = []int{} // not handed out is no reason not to be shown
	r, all, err := cfg.candidates()
	if err != nil {
		return nil, err
	}
	dir, err := openLockDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the leases in %s: %w", r, err)
	}
	holders := dir.holders(ctx, all, nil)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("list the leases in %s: %w", r, ctx.Err())
	}
	return slices.DeleteFunc(holders, func(h Holder) bool {
		return !h.Leased && !h.Listening && h.Listener == (Process{})
	}), nil
}

// holders tells what is known of each port; leased are those known to be locked,
// whatever their files say. What can't be found out stays unknown.
func (d lockDir) holders(ctx context.Context, ports, leased []int) []Holder {
	sockets, _ := sockdiag.Table(ctx) // without the table the listeners are unknown
	byPort := map[int][]psnet.ConnectionStat{}
	for _, s := range sockets {
		if !closed(s.Status) {
			byPort[int(s.Laddr.Port)] = append(byPort[int(s.Laddr.Port)], s)
		}
	}
	list := make([]Holder, len(ports))
	for i, port := range ports {
		h := Holder{Port: port}
		h.Launcher, h.Leased = d.signedBy(ctx, port)
		h.Leased = h.Leased || slices.Contains(leased, port)
		for _, s := range byPort[port] {
			listens := s.Status == "LISTEN"
			if s.Pid > 0 && (listens && !h.Listening || h.Listener.PID == 0) {
				h.Listener = Process{PID: int(s.Pid), Program: sockdiag.Program(ctx, s.Pid)}
			}
			h.Listening = h.Listening || listens
		}
		list[i] = h
	}
	return list
}

func programName() string {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return filepath.Base(path)
}

// startTime is when pid started, in ms of Unix time.
func startTime(ctx context.Context, pid int) (int64, error) {
	p, err := process.NewProcessWithContext(ctx, int32(pid))
	if err != nil {
		return 0, err
	}
	return p.CreateTimeWithContext(ctx)
}

// sameStart allows for the second to which the system knows its own boot time.
func sameStart(a, b int64) bool { return a-b < 2000 && b-a < 2000 }

// closed reports whether a connection's local end has been closed.
func closed(status string) bool {
	switch status {
	case "TIME_WAIT", "FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK":
		return true
	}
	return false
}
