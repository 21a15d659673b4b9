package supervisor

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/DeRuina/timberjack"
)

const (
	keptLines = 200     // of one life, for errors and log-line probes
	maxLine   = 8 << 10 // a longer line is broken; a progress bar without end is no reason to grow
)

// sink is a child's rotating log file, shared by the lives that name the same one.
// A nil sink keeps nothing.
type sink struct {
	mu     sync.Mutex
	file   *timberjack.Logger
	failed bool
	log    *slog.Logger
}

func openSink(cfg LogFile, log *slog.Logger) *sink {
	if cfg.Path == "" {
		return nil
	}
	return &sink{log: log, file: &timberjack.Logger{
		Filename: cfg.Path, MaxSize: cmp.Or(cfg.MaxMB, 10), MaxBackups: cmp.Or(cfg.Backups, 3),
		FileMode: 0o600, // a model server logs what people ask it
	}}
}

func (s *sink) path() string {
	if s == nil {
		return ""
	}
	return s.file.Filename
}

// write keeps one line. A full disk must not block or end the child, so an error
// is logged once and the line lost; writing goes on when there is room again.
func (s *sink) write(l Line) {
	if s == nil {
		return
	}
	stream := " stdout "
	if l.Stderr {
		stream = " stderr "
	}
	line := l.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00") + stream + l.Text + "\n"
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := io.WriteString(s.file, line)
	if err != nil && !s.failed {
		s.log.Warn("output is not being kept", "file", s.file.Filename, "err", err)
	}
	s.failed = err != nil
}

func (s *sink) close() {
	if s != nil {
		_ = s.file.Close()
	}
}

// output is what one life printed.
type output struct {
	sink   *sink
	onLine func(Line)
	more   chan struct{} // a line came

	mu      sync.Mutex
	kept    []string
	count   int
	watched map[*regexp.Regexp]bool // whether one matched
}

func newOutput(s *sink, onLine func(Line)) *output {
	return &output{sink: s, onLine: onLine, more: make(chan struct{}, 1), watched: map[*regexp.Regexp]bool{}}
}

// drain reads a stream to its end, or to the read deadline that a caller sets.
// Carriage returns end a line too: progress bars are made of them.
func (o *output) drain(r io.Reader, stderr bool) {
	buf := make([]byte, 32<<10)
	var line []byte
	for {
		n, err := r.Read(buf)
		for chunk := buf[:n]; len(chunk) > 0; {
			end := bytes.IndexAny(chunk, "\r\n")
			if end < 0 {
				line = append(line, chunk...)
				break
			}
			line = append(line, chunk[:end]...)
			chunk = chunk[end+1:]
			line = o.take(line, stderr)
		}
		for len(line) >= maxLine {
			rest := bytes.Clone(line[maxLine:])
			o.take(line[:maxLine], stderr)
			line = rest
		}
		if err != nil {
			o.take(line, stderr)
			return
		}
	}
}

// take keeps a line and returns it emptied. Empty lines (a "\r\n" makes one) are
// not worth keeping.
func (o *output) take(text []byte, stderr bool) []byte {
	if len(text) == 0 {
		return text
	}
	l := Line{Time: time.Now(), Stderr: stderr, Text: string(text)}
	o.sink.write(l)
	o.mu.Lock()
	o.count++
	if len(o.kept) == keptLines {
		o.kept = append(o.kept[:0], o.kept[1:]...)
	}
	o.kept = append(o.kept, l.Text)
	for re, seen := range o.watched {
		o.watched[re] = seen || re.MatchString(l.Text)
	}
	o.mu.Unlock()
	if o.onLine != nil {
		o.onLine(l)
	}
	select {
	case o.more <- struct{}{}:
	default:
	}
	return text[:0]
}

func (o *output) logged(re *regexp.Regexp) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if seen, known := o.watched[re]; known {
		return seen
	}
	o.watched[re] = false
	for _, l := range o.kept {
		if re.MatchString(l) {
			o.watched[re] = true
		}
	}
	return o.watched[re]
}

func (o *output) lines() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

// last returns up to n of the newest lines.
func (o *output) last(n int) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	from := max(0, len(o.kept)-n)
	return append([]string(nil), o.kept[from:]...)
}

// pipes are the two streams of one life.
type pipes struct {
	outR, outW, errR, errW *os.File
}

func openPipes() (p pipes, err error) {
	if p.outR, p.outW, err = os.Pipe(); err != nil {
		return p, err
	}
	if p.errR, p.errW, err = os.Pipe(); err != nil {
		return p, errors.Join(err, p.outR.Close(), p.outW.Close())
	}
	return p, nil
}

func (p pipes) closeWriters() {
	_ = p.outW.Close()
	_ = p.errW.Close()
}

// finish gives the readers until the deadline: a process outside the tree may have
// been handed the stream and keep it open for ever.
func (p pipes) finish(deadline time.Time) {
	_ = p.outR.SetReadDeadline(deadline)
	_ = p.errR.SetReadDeadline(deadline)
}

func (p pipes) closeReaders() {
	_ = p.outR.Close()
	_ = p.errR.Close()
}
