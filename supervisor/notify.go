package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	notifyVar = "NOTIFY_SOCKET"
	// maxExtension is the longest silence that a child can announce, in microseconds.
	maxExtension = uint64(time.Hour / time.Microsecond)
)

// Notify passes when a process of the child's tree says READY=1 as to systemd, at the
// socket that the child finds in NOTIFY_SOCKET; see sd_notify(3). Nobody is asked for
// that again and again: the message ends the wait. Until then STATUS= shows in
// Vitals.Status, and every message is a sign of life, EXTEND_TIMEOUT_USEC= for the time
// it names (an hour at most). It is for Spec.Ready alone.
//
// On Linux the socket is the abstract one of this name, which no other listener on the
// machine may have; elsewhere it is a file in a folder that this user alone can enter,
// and whose process sent a message can't be told.
func Notify(name string) Probe {
	return Probe{
		Name:    "READY=1 at its " + notifyVar,
		Timeout: -1,
		notify:  name,
		Check: func(ctx context.Context, c Child) error {
			if c.notices == nil {
				return Fatal(errors.New("there is no such socket: it needs a name, and is for readiness alone"))
			}
			select {
			case <-c.notices.ready:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
}

// notices hold what one life says at its NOTIFY_SOCKET. Methods of nil notices, those of
// a child whose readiness is seen otherwise, do nothing.
type notices struct {
	conn  *net.UnixConn
	addr  string // as NOTIFY_SOCKET has it
	clean func() error
	ready chan struct{}
	log   *slog.Logger

	listening sync.WaitGroup

	mu       sync.Mutex
	isReady  bool
	status   string
	spoke    bool      // since somebody looked
	extended time.Time // until then its silence is announced
	ignored  int       // messages of strangers
}

// openNotices listens where one of the probes wants it; nil when none does.
func openNotices(probes []Probe, log *slog.Logger) (*notices, error) {
	for _, p := range probes {
		if p.notify == "" {
			continue
		}
		n := &notices{ready: make(chan struct{}), log: log}
		var err error
		if n.conn, n.addr, n.clean, err = listenNotices(p.notify); err != nil {
			return nil, fmt.Errorf("listen for READY=1: %w", err)
		}
		return n, nil
	}
	return nil, nil
}

// env is a child's environment with the socket in it.
func (n *notices) env(env []string) []string {
	env = ChildEnv(env)
	if n == nil {
		return env
	}
	return ChildEnv(append(env, notifyVar+"="+n.addr))
}

// start takes messages until close; those after READY=1 as well, since a sender is not to
// fail because nobody reads. tree lists the processes that are the child's.
func (n *notices) start(tree func() map[int]bool) {
	if n != nil {
		n.listening.Go(func() { n.listen(tree) })
	}
}

func (n *notices) close() {
	if n != nil {
		_ = n.conn.Close()
		_ = n.clean()
		n.listening.Wait()
	}
}

func (n *notices) listen(tree func() map[int]bool) {
	text, beside := make([]byte, 4<<10), make([]byte, 4<<10) // systemd takes no longer ones
	for {
		size, besideSize, _, _, err := n.conn.ReadMsgUnix(text, beside)
		if err != nil {
			return
		}
		controls, err := syscall.ParseSocketControlMessage(beside[:besideSize])
		if err != nil {
			controls = nil
		}
		if !n.done() {
			if from, ours := sentBy(controls, tree); ours {
				n.take(text[:size], time.Now())
			} else {
				n.ignore(from)
			}
		}
		// The end of a file is what a sender of BARRIER=1 waits for, and others we keep
		// for nobody. Until now it waited, so that its process could be looked at.
		closeFiles(controls)
	}
}

func (n *notices) done() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.isReady
}

// take reads one message: assignments, one a line. Those that are not ours to act on
// are signs of life all the same.
func (n *notices) take(message []byte, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.spoke = true
	for line := range bytes.Lines(message) {
		key, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "=")
		switch key {
		case "STATUS":
			n.status = value
		case "EXTEND_TIMEOUT_USEC":
			if usec, err := strconv.ParseUint(value, 10, 64); err == nil {
				n.extended = now.Add(time.Duration(min(usec, maxExtension)) * time.Microsecond)
			}
		case "READY":
			if value == "1" && !n.isReady {
				n.isReady = true
				close(n.ready)
			}
		}
	}
}

func (n *notices) ignore(pid int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ignored++; n.ignored == 1 || n.ignored == 10 || n.ignored%100 == 0 {
		n.log.Warn("a message to the child's "+notifyVar+" is not counted: its sender is not of the child's tree, or ended too soon to be known",
			"pid", pid, "messages", n.ignored)
	}
}

// look says whether the child spoke since the last look, or announced its silence, and
// what its status is.
func (n *notices) look(now time.Time) (alive bool, status string) {
	if n == nil {
		return false, ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	alive = n.spoke || now.Before(n.extended)
	n.spoke = false
	return alive, n.status
}

func closeFiles(controls []syscall.SocketControlMessage) {
	for _, c := range controls {
		files, err := syscall.ParseUnixRights(&c)
		if err != nil {
			continue // of another kind
		}
		for _, fd := range files {
			_ = syscall.Close(fd)
		}
	}
}
