package logfile_test

import (
	"io"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/logfile"
)

// counted counts what is read of it.
type counted struct {
	io.ReaderAt
	bytes int
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.bytes += n
	return n, err
}

func TestLastLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", logfile.ChunkSize)
	edge := strings.Repeat("x", logfile.ChunkSize-3) + "\nb\n" // its first line feed is the first byte of the last chunk
	for _, test := range []struct {
		name, text string
		n          int
		final      bool
		want       string
		found      int
	}{
		{"nothing there", "", 3, false, "", 0},
		{"none wanted", "a\nb\n", 0, false, "", 0},
		{"one", "a\nb\n", 1, false, "b\n", 1},
		{"as many as there are", "a\nb\n", 2, false, "a\nb\n", 2},
		{"more than there are", "a\nb\n", 3, false, "a\nb\n", 2},
		{"blank ones", "\n\n\n", 2, false, "\n\n", 2},
		{"half-written", "a\nb\nc", 1, false, "b\nc", 1},
		{"half-written, none wanted", "a\nb\nc", 0, false, "c", 0},
		{"only half a line", "c", 1, false, "c", 0},
		{"cut off", "a\nb\nc", 1, true, "c", 1},
		{"cut off, two", "a\nb\nc", 2, true, "b\nc", 2},
		{"cut off, none wanted", "a\nb\nc", 0, true, "", 0},
		{"over a chunk", "a\n" + long + "\nb\n", 2, false, long + "\nb\n", 2},
		{"at the edge of a chunk", "a\n" + edge, 1, false, "b\n", 1},
		{"at the edge of a chunk, two", "a\n" + edge, 2, false, edge, 2},
		{"over three chunks", "a\n" + long + long + "\n", 1, false, long + long + "\n", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			from, found, err := logfile.LastLines(strings.NewReader(test.text), int64(len(test.text)), test.n, test.final)
			if err != nil || found != test.found || test.text[from:] != test.want {
				t.Errorf("%d lines of %d bytes (%v), not %d of %d", found, len(test.text)-int(from), err, test.found, len(test.want))
			}
		})
	}
}

// The last lines of a big file don't cost a reading of it.
func TestLastLinesReadsLittle(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(strings.Repeat("x", 99)+"\n", 100_000) // 10 MB
	r := &counted{ReaderAt: strings.NewReader(text)}
	if _, found, err := logfile.LastLines(r, int64(len(text)), 10, false); err != nil || found != 10 {
		t.Fatalf("%d lines, %v", found, err)
	}
	if r.bytes > logfile.ChunkSize {
		t.Errorf("%d bytes were read for 10 lines", r.bytes)
	}
}
