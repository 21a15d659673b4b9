package guard

import (
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/lockfile"
	"github.com/rbee-launch/rbee-launch/internal/unixsock"
)

// A guard whose program is gone goes on for the children that are to be kept: it reads
// and logs what they print, reaps what ends, holds what was entrusted to it, and waits
// at its door for another program to take over.

// opLost is the end of a connection, put among the requests so that it comes in turn.
const opLost op = "lost"

// leftLimit is how long children are left alone between a program that said that
// another comes, and that one.
const leftLimit = 30 * time.Second

// owner is the program as the guard sees it.
type owner struct {
	conn *net.UnixConn
	out  *outlet
	pid  int  // 0 when unknown
	lost bool // it makes no requests any more
}

// heldFile is one that was entrusted. It is locked; remove are the paths that go with
// it, its own first.
type heldFile struct {
	*os.File
	remove []string
}

func (m *minder) serve(conn *net.UnixConn) {
	o := &owner{conn: conn, out: newOutlet(conn), pid: unixsock.PeerPID(conn)}
	m.owner = o
	go func() { // ends with the connection
		for {
			req := request{from: o}
			files, err := receive(conn, &req)
			if err != nil {
				m.requests <- request{from: o, Op: opLost}
				return
			}
			req.files = files
			m.requests <- req
		}
	}()
}

func (m *minder) tell(r report) {
	if m.owner != nil {
		m.owner.out.tell(r)
	}
}

// lost ends the children that are to end with their program, and leaves the others to
// themselves. The program may have hung up on one side alone, and listen still.
func (m *minder) lost() {
	gone := m.owner
	for _, w := range m.wards {
		if w.exited && !w.killed { // in the same moment
			m.unseen(w)
		}
	}
	gone.lost = true
	m.lastWill()
	m.owner = nil
	for _, w := range m.wards {
		if w.out != nil {
			w.out.unfollow()
			if !w.left {
				w.out.note(fmt.Sprintf("the launcher, pid %d, is gone; this goes on without it", gone.pid))
			}
		}
		if w.left && !w.keep {
			m.patience.Reset(leftLimit)
		}
	}
	gone.out.close()
}

// greet hands everything to a program that takes over, unless there is one.
func (m *minder) greet(conn *net.UnixConn) {
	if m.owner != nil {
		out := newOutlet(conn)
		out.tell(report{News: newsBusy, PID: m.owner.pid})
		go out.close()
		return
	}
	m.patience.Stop()
	m.serve(conn)
	hello := report{News: newsHello, PID: m.self.pid, Start: m.self.start}
	for _, w := range m.wards {
		r := report{News: newsSpawned, Child: w.id, PID: w.pid, Start: w.start, Cgroup: text(w.cgroup)}
		if w.exited {
			r.News, r.Status = newsExited, uint32(w.status)
		}
		hello.Wards = append(hello.Wards, r)
		if w.out != nil && !w.left {
			w.out.note(fmt.Sprintf("taken over by the launcher, pid %d", m.owner.pid))
		}
		w.left = false
	}
	slices.SortFunc(hello.Wards, func(a, b report) int { return int(a.Child) - int(b.Child) })
	var files []*os.File
	for name, f := range m.held {
		hello.Held = append(hello.Held, name)
		files = append(files, f.File)
	}
	m.owner.out.tell(hello, files...)
}

// listen opens the guard's door at a socket of the program's.
func (m *minder) listen(req request) {
	if len(req.files) != 1 {
		return
	}
	door, err := unixsock.Inherit(req.files[0])
	if err != nil {
		return // no program can come later; this one can do without
	}
	if m.door != nil {
		_ = m.door.Close()
	}
	m.door = door
	go func() { // ends with the door, or the process
		for {
			conn, err := door.AcceptUnix()
			if err != nil {
				return
			}
			m.callers <- conn
		}
	}()
}

func (m *minder) entrust(req request) {
	if len(req.files) != 1 {
		return
	}
	m.release(req.Name)
	m.held[req.Name] = heldFile{req.files[0], req.Remove}
}

func (m *minder) release(name string) {
	if f, held := m.held[name]; held {
		_ = f.Close()
		delete(m.held, name)
	}
}

// giveBack ends the guard: nobody is there who could give back what was entrusted. A
// path that has become another's meanwhile is left alone.
func (m *minder) giveBack() {
	for _, f := range m.held {
		lock := lockfile.Inherited(f.File)
		if len(f.remove) > 0 {
			if ours, err := lock.IsAt(f.remove[0]); ours && err == nil {
				for _, path := range slices.Backward(f.remove) { // the lock itself is the last
					_ = os.Remove(path)
				}
			}
		}
		_ = lock.Unlock()
	}
}
