package guard

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/DeRuina/timberjack"
)

// What a child prints is read, logged and passed on here, in the guard: a program that
// is killed takes no line with it, and a child whose program is gone can go on printing.

const (
	keptLines  = 200                    // of one child, for those who ask later
	maxLine    = 8 << 10                // bytes; a longer line is broken: a progress bar without end is no reason to grow
	drainLimit = 200 * time.Millisecond // for the last output once the tree is gone
	lastOutput = 1 << 20                // bytes; no pipe of an unprivileged process holds more (pipe(7), pipe-max-size)
)

// Line is one line of a child's output, without its end.
type Line struct {
	Time   time.Time
	Stderr bool
	Text   string
}

// LogFile is where a child's output is kept.
type LogFile struct {
	Path    string `json:"path"`             // none when empty; its folder must exist
	MaxMB   int    `json:"max_mb,omitempty"` // size at which it is rotated, in MB; 10 when zero
	Backups int    `json:"backups,omitempty"`
}

// Stamp is how a line begins in a log: the time and a word for the stream.
func stamp(t time.Time, stream string) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") + " " + stream + " "
}

// keeper has the output of one child.
type keeper struct {
	child   uint64
	log     *timberjack.Logger // nil keeps nothing
	pipes   []*os.File         // the ends that are read here
	readers sync.WaitGroup

	mu     sync.Mutex
	tail   []Line
	to     *outlet // who follows; nil is nobody
	failed bool    // the log, with the last lines
}

// newKeeper opens the child's two streams and returns the ends for the child, which
// the caller closes.
func newKeeper(child uint64, log *LogFile, to *outlet) (k *keeper, stdout, stderr *os.File, err error) {
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, errors.Join(err, outR.Close(), outW.Close())
	}
	k = &keeper{child: child, pipes: []*os.File{outR, errR}, to: to}
	if log != nil && log.Path != "" {
		k.log = &timberjack.Logger{
			Filename: log.Path, MaxSize: cmp.Or(log.MaxMB, 10), MaxBackups: cmp.Or(log.Backups, 3),
			FileMode: 0o600, // a model server logs what people ask it
		}
	}
	return k, outW, errW, nil
}

// read starts to read; close ends it.
func (k *keeper) read() {
	for i, pipe := range k.pipes {
		k.readers.Go(func() { k.drain(pipe, i == 1) })
	}
}

// finish gives the readers a last moment, since a process outside the tree may have
// been handed a stream and keep it open for ever, then closes everything. A nil keeper
// has nothing to finish.
func (k *keeper) finish() {
	if k == nil {
		return
	}
	for _, pipe := range k.pipes {
		_ = pipe.SetReadDeadline(time.Now().Add(drainLimit))
	}
	k.readers.Wait()
	k.close()
}

func (k *keeper) close() {
	for _, pipe := range k.pipes {
		_ = pipe.Close()
	}
	if k.log != nil {
		_ = k.log.Close()
	}
}

// drain reads a stream to its end, or to the read deadline. Carriage returns end a
// line too: progress bars are made of them.
func (k *keeper) drain(pipe *os.File, stderr bool) {
	buf := make([]byte, 32<<10)
	var rest []byte
	for late := 0; ; {
		n, err := pipe.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) && late < lastOutput {
			// On a busy machine, or with a follower that is slow to read, the last output is still there.
			if n = readNow(pipe, buf); n > 0 {
				late, err = late+n, nil
			}
		}
		now := time.Now()
		var lines []Line
		take := func(text []byte) {
			if len(text) > 0 { // a "\r\n" makes empty ones, which are not worth keeping
				lines = append(lines, Line{Time: now, Stderr: stderr, Text: string(text)})
			}
		}
		rest = append(rest, buf[:n]...)
		for {
			end := bytes.IndexAny(rest, "\r\n")
			if end < 0 && len(rest) < maxLine {
				break
			}
			if end < 0 || end > maxLine {
				take(rest[:maxLine])
				rest = rest[maxLine:]
				continue
			}
			take(rest[:end])
			rest = rest[end+1:]
		}
		if err != nil {
			take(rest)
		}
		k.take(lines)
		if err != nil {
			return
		}
		rest = append([]byte(nil), rest...) // of what was read, no more is kept than is needed
	}
}

// readNow reads what is in a pipe, whatever its deadline; 0 when there is nothing.
func readNow(pipe *os.File, buf []byte) (n int) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return 0
	}
	// Control, unlike Read, does not ask for the deadline. The pipe does not block.
	_ = raw.Control(func(fd uintptr) { n, _ = syscall.Read(int(fd), buf) })
	return max(n, 0)
}

// take logs lines, remembers them, and passes them on.
func (k *keeper) take(lines []Line) {
	if len(lines) == 0 {
		return
	}
	k.follower().room()
	k.mu.Lock()
	defer k.mu.Unlock()
	var body []byte
	for _, l := range lines {
		stream := "stdout"
		if l.Stderr {
			stream = "stderr"
		}
		body = append(append(body, stamp(l.Time, stream)...), l.Text...)
		body = append(body, '\n')
	}
	k.write(body)
	k.tail = append(k.tail, lines...)
	if over := len(k.tail) - keptLines; over > 0 {
		k.tail = append(k.tail[:0], k.tail[over:]...)
	}
	k.to.lines(k.child, lines)
}

func (k *keeper) follower() *outlet {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.to
}

// note logs a line of the guard's own.
func (k *keeper) note(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.write([]byte(stamp(time.Now(), "launch") + text + "\n"))
}

// write keeps whole lines. A full disk must neither block nor end the child, so the
// lines are lost, which is told once; writing goes on when there is room again.
func (k *keeper) write(body []byte) {
	if k.log == nil {
		return
	}
	_, err := k.log.Write(body)
	if err != nil && !k.failed {
		k.to.tell(report{News: newsTrouble, Child: k.child, Error: "keep the output in " + k.log.Filename + ": " + err.Error()})
	}
	k.failed = err != nil
}

// follow passes the last lines on, and all that come.
func (k *keeper) follow(to *outlet) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.to = to
	to.tell(report{News: newsTail, Child: k.child, Lines: onWire(k.tail)})
}

// unfollow ends that.
func (k *keeper) unfollow() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.to = nil
}

func onWire(lines []Line) []wireLine {
	wire := make([]wireLine, len(lines))
	for i, l := range lines {
		wire[i] = wireLine{Time: l.Time.UnixNano(), Stderr: l.Stderr, Text: text(l.Text)}
	}
	return wire
}

func offWire(wire []wireLine) []Line {
	lines := make([]Line, len(wire))
	for i, w := range wire {
		lines[i] = Line{Time: time.Unix(0, w.Time), Stderr: w.Stderr, Text: string(w.Text)}
	}
	return lines
}
