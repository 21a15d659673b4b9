package logfile

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// stampSlack is how far a file's time of its last write may lie before the time in its
// last line: the kernel takes the former from a clock that ticks now and then.
const stampSlack = time.Second

// begin finds where the wanted lines begin, and closes the files before.
func begin(pieces []piece, cfg Config) ([]piece, error) {
	first := 0
	for first < len(pieces)-1 && pieces[first].info.ModTime().Before(cfg.Since.Add(-stampSlack)) {
		first++
	}
	if cfg.Tail != nil {
		left := *cfg.Tail
		for i := len(pieces) - 1; i >= first; i-- {
			n, err := pieces[i].seekLast(left)
			if err != nil {
				closeAll(pieces)
				return nil, err
			}
			if left -= n; left <= 0 {
				first = i
				break
			}
		}
	}
	closeAll(pieces[:first])
	return pieces[first:], nil
}

// seekLast has the piece begin with the last n of its lines, and says how many of
// these there are.
func (p *piece) seekLast(n int) (int, error) {
	from, found, err := lastLines(p.file, p.info.Size(), n, p.rotated)
	if err != nil {
		return 0, fmt.Errorf("read the log %s from its end: %w", p.file.Name(), err)
	}
	p.from = from
	return found, nil
}

// lastLines finds where the last n lines begin, reading backwards. What follows the
// last line feed counts as a line where it is final, and not where it is still being
// written; it is behind where the last 0 lines begin then.
func lastLines(r io.ReaderAt, size int64, n int, final bool) (from int64, found int, err error) {
	ends := 0 // of lines, seen so far
	buf := make([]byte, chunkSize)
	for end := size; end > 0; {
		block := buf[:min(end, chunkSize)]
		start := end - int64(len(block))
		if _, err := r.ReadAt(block, start); err != nil {
			return 0, 0, err
		}
		if final && end == size && block[len(block)-1] != '\n' {
			if ends++; ends > n {
				return size, n, nil
			}
		}
		for i := bytes.LastIndexByte(block, '\n'); i >= 0; i = bytes.LastIndexByte(block[:i], '\n') {
			if ends++; ends > n {
				return start + int64(i) + 1, n, nil
			}
		}
		end = start
	}
	return 0, ends, nil
}
