package logfile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/logfile"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// logged is a log's line with a text of its own, so many seconds after noon.
func logged(seconds int) string {
	return logfile.Line{Time: noon.Add(time.Duration(seconds) * time.Second), Stream: "stdout", Text: text(seconds)}.String() + "\n"
}

func text(i int) string { return fmt.Sprintf("line %06d", i) }

func texts(first, last int) (all []string) {
	for i := first; i <= last; i++ {
		all = append(all, text(i))
	}
	return all
}

// history is a log with the lines 0-8: three in each of two rotated files and three in
// the one at present, whose last line is half-written.
func history(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i, name := range []string{"web-2026-11-23T12-00-03.000-size.log", "web-2026-11-23T12-00-06.000-size.log", "web.log"} {
		body := logged(3*i) + logged(3*i+1) + logged(3*i+2)
		if name == "web.log" {
			body += "2026-11-23T12:00:09.000Z stdout hal"
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		written := noon.Add(time.Duration(3*i+2) * time.Second)
		if err := os.Chtimes(path, written, written); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(dir, "web-2.log")
	if err := os.WriteFile(other, []byte(logged(99)), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "web.log")
}

// collect has the texts of all lines put into a list.
func collect(all *[]string) func([]logfile.Line) error {
	return func(lines []logfile.Line) error {
		for _, l := range lines {
			*all = append(*all, l.Text)
		}
		return nil
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		tail  int // -1 for all
		since time.Time
		want  []string
	}{
		{"all", -1, time.Time{}, texts(0, 8)},
		{"none", 0, time.Time{}, nil},
		{"the last two", 2, time.Time{}, texts(7, 8)},
		{"the last file", 3, time.Time{}, texts(6, 8)},
		{"over a rotation", 4, time.Time{}, texts(5, 8)},
		{"over two rotations", 7, time.Time{}, texts(2, 8)},
		{"more than there are", 100, time.Time{}, texts(0, 8)},
		{"since a time", -1, noon.Add(4 * time.Second), texts(4, 8)},
		{"since between two", -1, noon.Add(4*time.Second + 1), texts(5, 8)},
		{"since long ago", -1, noon.Add(-time.Hour), texts(0, 8)},
		{"since just now", -1, noon.Add(time.Hour), nil},
		{"the last of those since", 2, noon.Add(4 * time.Second), texts(7, 8)},
		{"those of the last since", 8, noon.Add(4 * time.Second), texts(4, 8)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			cfg := logfile.Config{Path: history(t), Since: test.since, OnLines: collect(&got)}
			if test.tail >= 0 {
				cfg.Tail = &test.tail
			}
			if err := logfile.Read(t.Context(), cfg); err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%q, %v; not %q", got, err, test.want)
			}
		})
	}
}

// Lines that are none of ours go where the one before them goes.
func TestReadStrangers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "web.log")
	if err := os.WriteFile(path, []byte("first\n"+logged(1)+"after 1\n"+logged(2)+"after 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for since, want := range map[int][]string{
		0: {"first", text(1), "after 1", text(2), "after 2"},
		2: {"first", text(2), "after 2"},
	} {
		var got []string
		err := logfile.Read(t.Context(), logfile.Config{Path: path, Since: noon.Add(time.Duration(since) * time.Second), OnLines: collect(&got)})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("since %d s: %q, %v; not %q", since, got, err, want)
		}
	}
}

// A rotated file gets no more: what is cut off at its end is shown as it is.
func TestReadCutOff(t *testing.T) {
	t.Parallel()
	path := history(t)
	if err := os.Rename(path, filepath.Join(filepath.Dir(path), "web-2026-11-23T12-00-09.000-size.log")); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := logfile.Read(t.Context(), logfile.Config{Path: path, OnLines: collect(&got)}); err != nil || !slices.Equal(got, append(texts(0, 8), "hal")) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReadNothing(t *testing.T) {
	t.Parallel()
	var got []string
	path := filepath.Join(t.TempDir(), "no", "web.log")
	if err := logfile.Read(t.Context(), logfile.Config{Path: path, OnLines: collect(&got)}); err != nil || got != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReadStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var got []string
	if err := logfile.Read(ctx, logfile.Config{Path: history(t), OnLines: collect(&got)}); err != nil || got != nil {
		t.Errorf("after the end of its context: %q, %v", got, err)
	}
	full := errors.New("full")
	refuse := func([]logfile.Line) error { return full }
	if err := logfile.Read(t.Context(), logfile.Config{Path: history(t), OnLines: refuse}); !errors.Is(err, full) {
		t.Errorf("%v, not what OnLines returned", err)
	}
	if err := logfile.Follow(t.Context(), logfile.Config{Path: history(t), OnLines: refuse}); !errors.Is(err, full) {
		t.Errorf("followed: %v, not what OnLines returned", err)
	}
}
