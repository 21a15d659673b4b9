package guard

import "net"

// StartWithoutCgroups is Start where no cgroup can be had.
func StartWithoutCgroups() (*Guard, error) {
	return startWith(append(guardEnv(), noneEnv+"=1"))
}

// Marked says whether a child shows its mark, and whether that is sure.
func Marked(c *Child) (marked, sure bool) {
	id, sure := markedBy(c.pid, c.g.self)
	return id == c.id, sure
}

// Flood has two children print lines in turn while nobody reads at a connection's other
// end, and then reads. It returns how many messages waited, and of how many lines
// those told, be it that they were left out.
func Flood(conn, end *net.UnixConn, lines int) (waiting, told int) {
	o := newOutlet(conn)
	for i := range lines {
		o.lines(uint64(i%2), []Line{{Text: "a line"}})
	}
	o.mu.Lock()
	waiting = len(o.queue)
	o.mu.Unlock()
	for told < lines {
		var r report
		if read(end, &r) != nil {
			break
		}
		told += len(r.Lines) + r.Dropped
	}
	o.close()
	return waiting, told
}
