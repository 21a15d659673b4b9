package guard

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// The program and its guard speak length-prefixed JSON over a socket pair.
// Files travel beside the length.

type op string

const (
	opSpawn   op = "spawn"
	opSignal  op = "signal"  // to the child's process group
	opTell    op = "tell"    // a signal to the child alone
	opKill    op = "kill"    // SIGKILL to the whole tree until it is gone
	opFollow  op = "follow"  // the child's last lines of output, and those to come
	opEntrust op = "entrust" // a file to hold, in place of the one of that name
	opRelease op = "release" // no longer
	opListen  op = "listen"  // the socket at which a later program finds the guard
	opLeave   op = "leave"   // the child is not to end with the program: another comes
	opEnd     op = "end"     // every child is to end with the program
)

type request struct {
	Op      op       `json:"op"`
	Child   uint64   `json:"child,omitempty"`
	Path    text     `json:"path,omitempty"`
	Args    texts    `json:"args,omitempty"`
	Env     texts    `json:"env,omitempty"`
	Dir     text     `json:"dir,omitempty"`
	Signal  int      `json:"signal,omitempty"` // opSpawn: the signal to stop it with
	GraceMS int64    `json:"grace_ms,omitempty"`
	Keep    bool     `json:"keep,omitempty"`
	Output  bool     `json:"output,omitempty"` // the guard reads what the child prints
	Log     *LogFile `json:"log,omitempty"`
	Name    string   `json:"name,omitempty"`   // opEntrust, opRelease
	Remove  texts    `json:"remove,omitempty"` // opEntrust

	files []*os.File // opSpawn: stdin, stdout, stderr
	null  *os.File   // stands for those that are not given
	from  *owner
}

// text and texts hold what the system takes as it is: any bytes but 0. JSON's own
// strings would have those replaced that are not UTF-8.
type (
	text  string
	texts []string
)

func (t text) MarshalJSON() ([]byte, error) { return json.Marshal([]byte(t)) }

func (t *text) UnmarshalJSON(body []byte) error {
	var b []byte
	err := json.Unmarshal(body, &b)
	*t = text(b)
	return err
}

func hasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }

// Each text ends with a 0: an environment in one piece is read in a fraction of the time.
func (t texts) MarshalJSON() ([]byte, error) {
	var all []byte
	for _, s := range t {
		if hasNUL(s) { // it would become two
			return nil, fmt.Errorf("a NUL in %q: %w", s, syscall.EINVAL)
		}
		all = append(append(all, s...), 0)
	}
	return json.Marshal(all)
}

func (t *texts) UnmarshalJSON(body []byte) error {
	var all []byte
	err := json.Unmarshal(body, &all)
	for one := range bytes.SplitSeq(all, []byte{0}) {
		*t = append(*t, string(one))
	}
	*t = (*t)[:len(*t)-1] // what comes after the last 0
	return err
}

type news string

const (
	newsSpawned news = "spawned"
	newsFailed  news = "failed" // the spawn did
	newsExited  news = "exited" // the child itself
	newsGone    news = "gone"   // the child and everything it started
	newsLines   news = "lines"
	newsTail    news = "tail"    // the answer to opFollow
	newsTrouble news = "trouble" // with the child's log
	newsHello   news = "hello"   // to a program that comes later: everything there is
	newsBusy    news = "busy"    // to one that comes too early
)

type report struct {
	News    news       `json:"news"`
	Child   uint64     `json:"child,omitempty"`
	PID     int        `json:"pid,omitempty"`   // newsHello: the guard's
	Start   int64      `json:"start,omitempty"` // process start time, in the platform's own unit
	Cgroup  text       `json:"cgroup,omitempty"`
	Errno   int        `json:"errno,omitempty"`
	Error   string     `json:"error,omitempty"`
	Status  uint32     `json:"status,omitempty"` // as wait(2) gave it
	Lines   []wireLine `json:"lines,omitempty"`
	Dropped int        `json:"dropped,omitempty"` // newsLines: so many before these
	Wards   []report   `json:"wards,omitempty"`   // newsHello: newsSpawned, or newsExited, of each child
	Held    []string   `json:"held,omitempty"`    // newsHello: the names of the files beside it
}

type wireLine struct {
	Time   int64 `json:"t"` // Unix time in ns
	Stderr bool  `json:"e,omitempty"`
	Text   text  `json:"x"`
}

// maxMessage bounds one message; arguments and environment are at most a few MiB
// on Linux (ARG_MAX).
const maxMessage = 16 << 20

// maxFiles bounds the files beside one message: a child's three, or what was entrusted.
const maxFiles = 16

// encode is one message, its length first.
func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...), nil
}

// send sends one message, and files beside its first byte.
func send(conn *net.UnixConn, v any, files []*os.File) error {
	message, err := encode(v)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = syscall.UnixRights(fds...)
	}
	n, oobn, err := conn.WriteMsgUnix(message, rights, nil)
	if err != nil {
		return err
	}
	if oobn != len(rights) {
		return io.ErrShortWrite
	}
	_, err = conn.Write(message[n:])
	return err
}

// receive takes one message, and the files beside it.
func receive(conn *net.UnixConn, v any) ([]*os.File, error) {
	var head [4]byte
	oob := make([]byte, syscall.CmsgSpace(maxFiles*4))
	n, oobn, _, _, err := conn.ReadMsgUnix(head[:], oob)
	if err != nil {
		return nil, err
	}
	files, err := rightsFiles(oob[:oobn])
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return files, io.EOF
	}
	if _, err := io.ReadFull(conn, head[n:]); err != nil {
		return files, err
	}
	return files, readBody(conn, head, v)
}

// read takes one message that no file is beside.
func read(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	return readBody(r, head, v)
}

func readBody(r io.Reader, head [4]byte, v any) error {
	size := binary.BigEndian.Uint32(head[:])
	if size > maxMessage {
		return fmt.Errorf("a message of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	return json.Unmarshal(body, v)
}

func rightsFiles(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	msgs, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range msgs {
		fds, err := syscall.ParseUnixRights(&msgs[i])
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// fileConn makes a connection of a socket's file, which it closes.
func fileConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("not a Unix socket"), c.Close())
	}
	return uc, nil
}
