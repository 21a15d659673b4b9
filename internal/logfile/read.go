package logfile

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// chunkSize is how much is read at a time.
const chunkSize = 64 << 10

// Config says what is read, and who gets it. Path and OnLines must be set.
type Config struct {
	Path string // of the log; rotated files are looked for beside it

	Tail  *int      // begin with so many of the last lines; with the first when nil
	Since time.Time // leave out what is older; nothing when zero

	// Ended, when closed, says that nothing will be written any more: Follow reads what
	// there is and returns. It goes on for ever when nil.
	Ended <-chan struct{}
	// Period is how often Follow looks for more; 100 ms when zero.
	Period time.Duration

	// OnLines gets the lines, some at a time, and may take as long as it needs. The
	// slice is reused. An error ends the reading and is returned as it is.
	OnLines func([]Line) error
	// OnGap, when not nil, is told that lines are missing here: so many files were
	// rotated away while OnLines took its time that they were not kept for it.
	OnGap func()
}

func (c Config) withDefaults() Config {
	c.Period = cmp.Or(c.Period, 100*time.Millisecond)
	if c.OnGap == nil {
		c.OnGap = func() {}
	}
	return c
}

// Read gives the lines that are in the log at present. A log that does not exist has
// none. An end by ctx is no error.
func Read(ctx context.Context, cfg Config) error {
	r := newReader(cfg)
	pieces, err := (&watcher{path: cfg.Path}).look()
	if err == nil {
		pieces, err = begin(pieces, r.cfg)
	}
	if err != nil {
		return err
	}
	defer closeAll(pieces)
	for _, p := range pieces {
		r.begin(p)
		if p.rotated {
			err = r.finish(ctx)
		} else {
			err = r.drain(ctx, p.info.Size()) // a child that never falls silent has no end
		}
		if err != nil {
			return unlessStopped(ctx, err)
		}
	}
	return nil
}

// Follow gives the lines that are in the log, and then those that come, until ctx ends,
// which is no error, or the log has Ended. It may be called before the log exists.
func Follow(ctx context.Context, cfg Config) error {
	r := newReader(cfg)
	w := &watcher{path: cfg.Path}
	pieces, err := w.look()
	if err == nil {
		pieces, err = begin(pieces, r.cfg)
	}
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	files := make(chan piece, maxWaiting)
	var lost error
	go func() {
		defer close(files)
		lost = w.run(watching, r.cfg, pieces, files)
	}()
	err = r.follow(ctx, files)
	r.file.close()
	stop()
	for p := range files { // and so wait for the watcher
		p.close()
	}
	return unlessStopped(ctx, errors.Join(err, lost))
}

func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// reader makes lines out of one file after the other.
type reader struct {
	cfg    Config
	file   *piece // nil before the first
	offset int64  // of what was read
	rest   []byte // the beginning of a line whose end was not read yet
	wanted bool   // whether the last line was; those without a time go with it
	buf    []byte
	lines  []Line
}

func newReader(cfg Config) *reader {
	return &reader{cfg: cfg.withDefaults(), wanted: true, buf: make([]byte, chunkSize)}
}

func (r *reader) begin(p piece) {
	if p.gap {
		r.cfg.OnGap()
	}
	r.file, r.offset = &p, p.from
}

// follow reads the pieces that come through the channel, and what is added to the last
// of them, until the channel is closed. The file that it ends in stays open.
func (r *reader) follow(ctx context.Context, files <-chan piece) error {
	tick := time.NewTicker(r.cfg.Period)
	defer tick.Stop()
	for {
		if err := r.drain(ctx, math.MaxInt64); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case next, more := <-files:
			if err := r.finish(ctx); err != nil || !more {
				next.close()
				return err
			}
			r.file.close()
			r.begin(next)
		}
	}
}

// finish reads a file to which nothing is added any more: what was read of it before
// that was certain may lack its end.
func (r *reader) finish(ctx context.Context) error {
	if err := r.drain(ctx, math.MaxInt64); err != nil {
		return err
	}
	if len(r.rest) > 0 {
		r.add(r.rest)
		r.rest = r.rest[:0]
	}
	return r.give()
}

// drain reads up to an offset, or to where the file ends at present.
func (r *reader) drain(ctx context.Context, end int64) error {
	if r.file == nil {
		return ctx.Err()
	}
	if err := r.noticeEmptied(); err != nil {
		return err
	}
	for r.offset < end {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := r.file.file.ReadAt(r.buf[:min(chunkSize, end-r.offset)], r.offset)
		r.offset += int64(n)
		r.split(r.buf[:n])
		if err := r.give(); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a log: %w", err)
		}
	}
	return nil
}

// noticeEmptied begins anew in a file that has become shorter than what was read.
func (r *reader) noticeEmptied() error {
	info, err := r.file.file.Stat()
	if err != nil {
		return fmt.Errorf("read a log: %w", err)
	}
	if info.Size() < r.offset {
		r.offset, r.rest = 0, r.rest[:0]
	}
	return nil
}

// split makes lines out of what was read and keeps the beginning of the last one.
func (r *reader) split(chunk []byte) {
	r.rest = append(r.rest, chunk...)
	left := r.rest
	for {
		line, after, whole := bytes.Cut(left, []byte{'\n'})
		if !whole {
			r.rest = append(r.rest[:0], left...)
			return
		}
		r.add(line)
		left = after
	}
}

func (r *reader) add(line []byte) {
	l := parse(line)
	if !l.Time.IsZero() {
		r.wanted = !l.Time.Before(r.cfg.Since)
	}
	if r.wanted {
		r.lines = append(r.lines, l)
	}
}

// give hands over the lines that were made.
func (r *reader) give() error {
	if len(r.lines) == 0 {
		return nil
	}
	err := r.cfg.OnLines(r.lines)
	r.lines = r.lines[:0]
	return err
}
