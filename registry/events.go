package registry

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// event is one of a stream of server-sent events. A comment is one without a name.
type event struct {
	id, name string
	data     []byte        // good until the next event is read
	retry    time.Duration // when to come back; 0: it does not say
}

// eventReader reads a stream of server-sent events, with lines that end in LF or CRLF.
type eventReader struct {
	from *bufio.Reader
	line []byte
	data []byte
}

func newEventReader(r io.Reader) *eventReader {
	return &eventReader{from: bufio.NewReaderSize(r, 32<<10)}
}

// next reads what comes before the next empty line. An event that the end of the stream cuts
// off is none: the error is io.EOF.
func (r *eventReader) next() (e event, err error) {
	if cap(r.data) > 1<<20 {
		r.data = nil // of a large snapshot, when small changes follow
	}
	r.data = r.data[:0]
	for lines := 0; ; {
		if err := r.readLine(); err != nil {
			return event{}, err
		}
		if len(r.line) == 0 {
			e.data = r.data
			return e, nil
		}
		field, value, _ := bytes.Cut(r.line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "id":
			e.id = string(value)
		case "event":
			e.name = string(value)
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				e.retry = time.Duration(ms) * time.Millisecond
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
func (r *eventReader) readLine() error {
	r.line = r.line[:0]
	for {
		piece, err := r.from.ReadSlice('\n')
		r.line = append(r.line, piece...)
		switch {
		case len(r.line)+len(r.data) > maxAnswer:
			return fmt.Errorf("read an event: it is over %d bytes", maxAnswer)
		case err == nil:
			r.line = bytes.TrimSuffix(r.line[:len(r.line)-1], []byte("\r"))
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}
