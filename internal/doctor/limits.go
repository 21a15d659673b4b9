package doctor

import (
	"fmt"
	"slices"
)

// Limits are what this user may have of the machine.
type Limits struct {
	OpenFiles uint64 // of one process, as far as it may raise that; 0 is unknown
	Processes []Quota
}

// Quota is one limit on the number of processes and threads.
type Quota struct {
	Name  string // "ulimit -u"
	Limit uint64
	Used  uint64
	Raise string // how to have more
}

func (q Quota) left() uint64 {
	if q.Used > q.Limit {
		return 0
	}
	return q.Limit - q.Used
}

func openFiles(l Limits) Finding {
	const fix = "ulimit -Hn, LimitNOFILE= in a unit, or 'docker run --ulimit nofile=65536' raises it"
	text := fmt.Sprintf("a process may have %d", l.OpenFiles)
	switch {
	case l.OpenFiles == 0:
		return ok("open files", "no limit is known")
	case l.OpenFiles < 256:
		return bad("open files", text+": too few for a launcher with several children", fix)
	case l.OpenFiles < 4096:
		return warn("open files", text+": a server with many clients wants more", fix)
	default:
		return ok("open files", text)
	}
}

// processes judges by the quota that is exhausted first.
func processes(l Limits) Finding {
	if len(l.Processes) == 0 {
		return ok("processes", "no limit is known")
	}
	q := slices.MinFunc(l.Processes, func(a, b Quota) int {
		switch {
		case a.left() < b.left():
			return -1
		case a.left() > b.left():
			return 1
		default:
			return 0
		}
	})
	text := fmt.Sprintf("there may be %d more processes and threads (%s: %d of %d)", q.left(), q.Name, q.Used, q.Limit)
	switch {
	case q.left() < 32:
		return bad("processes", text, q.Raise)
	case q.left() < 512:
		return warn("processes", text+": a model server starts some for each core", q.Raise)
	default:
		return ok("processes", text)
	}
}
