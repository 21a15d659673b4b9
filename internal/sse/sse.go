package sse

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Event is one of a stream. A comment is one that is empty.
type Event struct {
	ID, Name string
	Data     []byte        // good until the next event is read; nil where there is none
	Retry    time.Duration // when to come back; 0: it does not say
}

// Reader reads a stream, with lines that end in LF or CRLF.
type Reader struct {
	from *bufio.Reader
	most int
	line []byte
	data []byte
}

// NewReader reads events of so many bytes at most. It calls heard, which may be nil,
// whenever something comes, a comment or half an event, too.
func NewReader(r io.Reader, most int, heard func()) *Reader {
	if heard != nil {
		r = attentive{r, heard}
	}
	return &Reader{from: bufio.NewReaderSize(r, 32<<10), most: most}
}

// attentive tells of everything that is read.
type attentive struct {
	io.Reader
	heard func()
}

func (a attentive) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n > 0 {
		a.heard()
	}
	return n, err
}

// Next reads what comes before the next empty line. An event that the end of the stream cuts
// off is none: the error is io.EOF.
func (r *Reader) Next() (e Event, err error) {
	if cap(r.data) > 1<<20 {
		r.data = nil // of a large snapshot, when small changes follow
	}
	r.data = r.data[:0]
	for lines := 0; ; {
		if err := r.readLine(); err != nil {
			return Event{}, err
		}
		if len(r.line) == 0 {
			if lines > 0 {
				if e.Data = r.data; e.Data == nil { // there, if of no length
					e.Data = []byte{}
				}
			}
			return e, nil
		}
		field, value, _ := bytes.Cut(r.line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "id":
			e.ID = string(value)
		case "event":
			e.Name = string(value)
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				e.Retry = time.Duration(ms) * time.Millisecond
			}
		case "data":
			if lines++; lines == 1 {
				// Not copied, since it may be everything that there is.
				r.data, r.line = value, r.data[:0]
				continue
			}
			r.data = append(append(r.data, '\n'), value...)
		}
	}
}

// readLine reads a line without its end, as long as an answer may be.
func (r *Reader) readLine() error {
	r.line = r.line[:0]
	for {
		piece, err := r.from.ReadSlice('\n')
		r.line = append(r.line, piece...)
		switch {
		case len(r.line)+len(r.data) > r.most:
			return fmt.Errorf("read an event: it is over %d bytes", r.most)
		case err == nil:
			r.line = bytes.TrimSuffix(r.line[:len(r.line)-1], []byte("\r"))
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}
