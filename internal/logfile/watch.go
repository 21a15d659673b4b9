package logfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// maxWaiting bounds the files that are kept open for a reader who is slow, since they
// take room on the disk although they were removed.
const maxWaiting = 32

// piece is one file of a log, open.
type piece struct {
	file    *os.File
	info    os.FileInfo // as it was when it was opened
	rotated bool        // nobody writes to it any more
	gap     bool        // lines before it were removed before they could be read
	from    int64       // where to begin
}

func openPiece(path string) (*piece, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &piece{file: f, info: info}, nil
}

func closeAll(pieces []piece) {
	for _, p := range pieces {
		_ = p.file.Close() // it was read only
	}
}

// watcher opens the files of one log as they come. They have to be opened soon, even
// where they are not read soon: the writer removes the oldest.
type watcher struct {
	path string
	seen map[string]bool // the rotated files of the last look
	// last is the newest file that was opened. The reader keeps it open until there is
	// a newer one, and so no other file can have its inode.
	last os.FileInfo
}

// look opens what has come since the last look, oldest first.
func (w *watcher) look() ([]piece, error) {
	if w.isLast(w.path) {
		return nil, nil
	}
	pieces, err := w.take()
	if err != nil {
		closeAll(pieces)
		return nil, fmt.Errorf("look for the log %s: %w", w.path, err)
	}
	if len(pieces) > 0 {
		w.last = pieces[len(pieces)-1].info
	}
	return pieces, nil
}

// take is a look at a moment in which nothing was rotated: a list that is read while
// something is can lack a file, and have a younger one.
func (w *watcher) take() ([]piece, error) {
	for {
		before, errBefore := rotatedFiles(w.path)
		current, errOpen := openPiece(w.path)
		if errors.Is(errOpen, fs.ErrNotExist) {
			errOpen = nil
		}
		after, errAfter := rotatedFiles(w.path)
		if err := errors.Join(errBefore, errOpen, errAfter); err != nil {
			current.close()
			return nil, err
		}
		if !slices.Equal(before, after) {
			current.close()
			continue
		}
		pieces, err := w.takeRotated(after)
		if current != nil {
			pieces = append(pieces, *current)
		}
		return pieces, err
	}
}

// takeRotated opens those of the rotated files that are new.
func (w *watcher) takeRotated(names []string) (pieces []piece, err error) {
	seen := map[string]bool{}
	gap := w.last != nil // unless the file that was the newest is among them
	for _, name := range names {
		seen[name] = true
		path := filepath.Join(filepath.Dir(w.path), name)
		if w.isLast(path) {
			gap = false
			continue
		}
		if w.seen[name] {
			continue
		}
		p, err := openPiece(path)
		if errors.Is(err, fs.ErrNotExist) {
			gap = w.last != nil
			continue
		}
		if err != nil {
			return pieces, err
		}
		p.rotated, p.gap, gap = true, gap, false
		pieces = append(pieces, *p)
	}
	w.seen = seen
	return pieces, nil
}

// isLast reports whether the file at path is the newest one that was opened.
func (w *watcher) isLast(path string) bool {
	info, err := os.Stat(path)
	return err == nil && w.last != nil && os.SameFile(info, w.last)
}

func (p *piece) close() {
	if p != nil && p.file != nil {
		_ = p.file.Close() // it was read only
	}
}

// run hands over the pieces that come, after those that are there, until ctx ends or
// the log has ended. Whoever receives a piece closes its file.
func (w *watcher) run(ctx context.Context, cfg Config, pieces []piece, to chan<- piece) error {
	tick := time.NewTicker(cfg.Period)
	defer tick.Stop()
	for {
		for i, p := range pieces {
			select {
			case to <- p:
			case <-ctx.Done():
				closeAll(pieces[i:])
				return nil
			}
		}
		ended := false
		select {
		case <-ctx.Done():
			return nil
		case <-cfg.Ended:
			ended = true
		case <-tick.C:
		}
		var err error
		if pieces, err = w.look(); err != nil {
			return err
		}
		if ended && len(pieces) == 0 {
			return nil
		}
	}
}
