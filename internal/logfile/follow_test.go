package logfile_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/DeRuina/timberjack"

	"github.com/rbee-launch/rbee-launch/internal/logfile"
)

const period = 100 * time.Millisecond

// following is a Follow in a bubble of time, whose log a test writes.
type following struct {
	t     *testing.T
	path  string
	slow  chan struct{} // when not nil, each OnLines waits for one of these
	ended chan struct{}
	done  chan error
	stop  context.CancelFunc
	got   []string
	gaps  []int // after how many lines each was told of
}

// follow starts to follow the log at path; what is there is read when it returns.
func follow(t *testing.T, path string, tail *int) *following {
	f := newFollowing(t, path)
	f.start(tail)
	return f
}

func newFollowing(t *testing.T, path string) *following {
	return &following{t: t, path: path, ended: make(chan struct{}), done: make(chan error, 1)}
}

func (f *following) start(tail *int) {
	ctx, cancel := context.WithCancel(f.t.Context())
	f.stop = cancel
	take := collect(&f.got)
	go func() {
		f.done <- logfile.Follow(ctx, logfile.Config{
			Path: f.path, Tail: tail, Ended: f.ended, Period: period,
			OnLines: func(lines []logfile.Line) error {
				if f.slow != nil {
					<-f.slow
				}
				return take(lines)
			},
			OnGap: func() { f.gaps = append(f.gaps, len(f.got)) },
		})
	}()
	synctest.Wait()
}

// settle lets it look twice: one look may be at a rotation's worst moment.
func (f *following) settle() {
	time.Sleep(2*period + period/2)
	synctest.Wait()
}

func (f *following) expect(when string, want []string) {
	f.t.Helper()
	f.settle()
	if !slices.Equal(f.got, want) {
		f.t.Errorf("%s: %q, not %q", when, f.got, want)
	}
}

// end says that the log has ended and waits for Follow.
func (f *following) end() {
	f.t.Helper()
	close(f.ended)
	if err := <-f.done; err != nil {
		f.t.Error(err)
	}
	f.stop()
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	w, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, history(t), nil)
		f.expect("what is there, without half a line", texts(0, 8))
		appendTo(t, f.path, "f")
		f.expect("still half a line", texts(0, 8))
		appendTo(t, f.path, " a line\n"+logged(9))
		f.expect("the whole line", append(texts(0, 8), "half a line", text(9)))
		appendTo(t, f.path, logged(10))
		f.end()
		if want := append(texts(0, 8), "half a line", text(9), text(10)); !slices.Equal(f.got, want) {
			t.Errorf("in the end: %q, not %q", f.got, want)
		}
	})
}

func TestFollowFromTheEnd(t *testing.T) {
	t.Parallel()
	for tail, first := range map[int]int{0: 9, 1: 8, 4: 5} {
		synctest.Test(t, func(t *testing.T) {
			f := follow(t, history(t), &tail)
			appendTo(t, f.path, "\n"+logged(9))
			f.end()
			var old []string
			if first < 9 {
				old = texts(first, 8)
			}
			if want := append(old, "hal", text(9)); !slices.Equal(f.got, want) {
				t.Errorf("from the last %d on: %q, not %q", tail, f.got, want)
			}
		})
	}
}

// A log that does not exist is waited for, and so is the folder that it is to be in.
func TestFollowBeforeItExists(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "logs")
		f := follow(t, logfile.Path(dir, "web"), nil)
		f.expect("no folder", nil)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		f.expect("no file", nil)
		appendTo(t, f.path, logged(0))
		f.expect("a line", texts(0, 0))
		f.end()
	})
}

func TestFollowStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, history(t), nil)
		f.settle()
		f.stop()
		if err := <-f.done; err != nil || !slices.Equal(f.got, texts(0, 8)) {
			t.Errorf("%q, %v", f.got, err)
		}
	})
}

// What a log that has ended breaks off with is shown: nobody will finish it.
func TestFollowCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, history(t), nil)
		f.end()
		if want := append(texts(0, 8), "hal"); !slices.Equal(f.got, want) {
			t.Errorf("%q, not %q", f.got, want)
		}
	})
}

func TestFollowEmptied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, history(t), nil)
		f.settle()
		if err := os.Truncate(f.path, 0); err != nil {
			t.Fatal(err)
		}
		f.settle()
		appendTo(t, f.path, logged(9))
		f.expect("after the file was emptied", texts(0, 9))
		// A writer that does not append leaves a hole up to where it was.
		if err := os.Truncate(f.path, 0); err != nil {
			t.Fatal(err)
		}
		f.settle()
		if err := os.Truncate(f.path, 100); err != nil {
			t.Fatal(err)
		}
		appendTo(t, f.path, logged(10))
		f.expect("after a hole", texts(0, 10))
		f.end()
	})
}

func TestFollowRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, history(t), nil)
		f.settle()
		if err := os.Remove(f.path); err != nil {
			t.Fatal(err)
		}
		f.settle()
		appendTo(t, f.path, logged(9))
		f.expect("in a new file", append(texts(0, 8), "hal", text(9)))
		f.end()
		if len(f.gaps) > 0 {
			t.Errorf("gaps after %v lines", f.gaps)
		}
	})
}

// rotating writes a log as supervisors do. Each round leaves one more rotated file.
type rotating struct {
	t    *testing.T
	file *timberjack.Logger
	next int
}

func newRotating(t *testing.T, path string, backups int) *rotating {
	return &rotating{t: t, file: &timberjack.Logger{Filename: path, MaxBackups: backups, FileMode: 0o600}}
}

func (r *rotating) write(lines int) {
	r.t.Helper()
	for range lines {
		if _, err := io.WriteString(r.file, logged(r.next)); err != nil {
			r.t.Fatal(err)
		}
		r.next++
	}
}

func (r *rotating) rotate() {
	r.t.Helper()
	if err := r.file.Rotate(); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(time.Millisecond) // old files are removed by the time in their names
	synctest.Wait()              // and in the background
}

func (r *rotating) close() {
	if err := r.file.Close(); err != nil {
		r.t.Error(err)
	}
}

func TestFollowRotations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFollowing(t, filepath.Join(t.TempDir(), "web.log"))
		w := newRotating(t, f.path, 3)
		w.write(10)
		f.start(nil)
		for rotations := range 3 { // up to three between two looks
			for range 3 {
				w.write(5)
				for range rotations {
					w.rotate()
					w.write(5)
				}
				f.expect("after rotations", texts(0, w.next-1))
			}
		}
		w.write(5)
		w.rotate()
		w.close()
		f.end()
		if !slices.Equal(f.got, texts(0, w.next-1)) || len(f.gaps) > 0 {
			t.Errorf("%d lines and gaps after %v, not %d lines", len(f.got), f.gaps, w.next)
		}
	})
}

// Files that are removed before a slow reader comes to them are kept for him.
func TestFollowSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFollowing(t, filepath.Join(t.TempDir(), "web.log"))
		f.slow = make(chan struct{})
		w := newRotating(t, f.path, 1)
		w.write(10)
		f.start(nil)
		for range logfile.MaxWaiting - 1 {
			w.rotate()
			w.write(10)
			f.settle()
		}
		w.close()
		if f.got != nil {
			t.Fatal("the reader is not slow")
		}
		close(f.slow)
		f.end()
		if !slices.Equal(f.got, texts(0, w.next-1)) || len(f.gaps) > 0 {
			t.Errorf("%d lines and gaps after %v, not %d lines", len(f.got), f.gaps, w.next)
		}
	})
}

// One who stops reading altogether does not have all the disk kept for him, and is
// told where lines are missing.
func TestFollowTooSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFollowing(t, filepath.Join(t.TempDir(), "web.log"))
		f.slow = make(chan struct{})
		w := newRotating(t, f.path, 1)
		w.write(1)
		f.start(nil)
		for range 2 * logfile.MaxWaiting {
			w.rotate()
			w.write(1)
			f.settle()
		}
		w.close()
		close(f.slow)
		f.end()
		if len(f.gaps) != 1 {
			t.Fatalf("gaps after %v lines, not one", f.gaps)
		}
		before, after := f.got[:f.gaps[0]], f.got[f.gaps[0]:]
		if len(before) < logfile.MaxWaiting || !slices.Equal(before, texts(0, len(before)-1)) {
			t.Errorf("before the gap: %q", before)
		}
		if !slices.Equal(after, texts(w.next-2, w.next-1)) {
			t.Errorf("after the gap: %q, not the last two of %d", after, w.next)
		}
	})
}

// Writers in real time, as fast as they can: one whose files fill up, and one who
// rotates so often that it happens while a reader looks.
func TestFollowAFastWriter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		lines     int
		filler    int
		each      int // lines, after which the writer rotates; 0 for every MB
		rotations int // at least
	}{
		{"full files", 60_000, 100, 0, 5},
		{"small files", 1500, 0, 5, 250},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "web.log")
			filler := strings.Repeat(".", test.filler)
			ended := make(chan struct{})
			var written error
			go func() {
				defer close(ended)
				written = writeFast(path, test.lines, filler, test.each)
			}()
			next := 0
			err := logfile.Follow(t.Context(), logfile.Config{
				Path: path, Ended: ended, Period: 50 * time.Microsecond,
				OnLines: func(all []logfile.Line) error {
					for _, l := range all {
						if want := text(next) + filler; l.Text != want {
							return fmt.Errorf("%q follows the lines before %d", l.Text, next)
						}
						next++
					}
					return nil
				},
				OnGap: func() { t.Errorf("a gap after %d lines", next) },
			})
			<-ended
			if err != nil || written != nil || next != test.lines {
				t.Errorf("%d lines, %v, %v; not %d lines", next, err, written, test.lines)
			}
			files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "web-*.log"))
			if err != nil || len(files) < test.rotations {
				t.Errorf("it was rotated %d times: %v", len(files), err)
			}
		})
	}
}

// writeFast writes a log whose rotated files are all kept.
func writeFast(path string, lines int, filler string, each int) error {
	w := &timberjack.Logger{Filename: path, MaxSize: 1, FileMode: 0o600}
	for i := range lines {
		if each > 0 && i%each == each-1 {
			if err := w.Rotate(); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(w, strings.TrimSuffix(logged(i), "\n")+filler+"\n"); err != nil {
			return err
		}
	}
	return w.Close()
}
