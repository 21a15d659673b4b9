package registry

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxOnDisk bounds the answers in one file together, in bytes.
	maxOnDisk = 8 << 20
	// maxFiles bounds the files of a folder: one registry is asked again and again, but tests
	// and trials start many.
	maxFiles = 32
	// writeGap is between two writes, however much changes.
	writeGap = 10 * time.Second
	// redate is how old the file may say that unchanged answers are.
	redate = 5 * time.Minute
	// leftBehind is how old a half-written file has to be to be nobody's.
	leftBehind = time.Hour
)

// disk keeps the last answers of one registry in a file, as well as it can: it is of no
// consequence if it can't.
type disk struct {
	dir, file string
	url       string // without credentials
	log       *slog.Logger
	collect   func() []onDisk // what is known

	mu      sync.Mutex
	newer   bool // there is something to write, if only a date
	due     bool // it is worth a write
	writing bool // there is a writer
	written time.Time

	writers sync.WaitGroup
	closing chan struct{}
	end     func()
}

// onDisk is one answer in the file.
type onDisk struct {
	Path string          `json:"path"`
	ETag string          `json:"etag,omitempty"`
	AsOf time.Time       `json:"as_of"`
	Body json.RawMessage `json:"body"`
}

type diskFile struct {
	Registry string   `json:"registry"`
	Answers  []onDisk `json:"answers"`
}

// newDisk is nil, which keeps nothing, when there is no folder.
func newDisk(dir string, base url.URL, log *slog.Logger, collect func() []onDisk) *disk {
	if dir == "" {
		return nil
	}
	base.User = nil
	sum := sha256.Sum256([]byte(base.String()))
	d := &disk{
		dir: dir, file: filepath.Join(dir, hex.EncodeToString(sum[:8])+".json"), url: base.String(),
		log: log, collect: collect, closing: make(chan struct{}),
	}
	d.end = sync.OnceFunc(func() { close(d.closing) })
	return d
}

// learned notes that there is something newer than what was written.
func (d *disk) learned(changed bool) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.newer = true
	if !changed && time.Since(d.written) < redate {
		return
	}
	if d.due = true; !d.writing {
		d.writing = true
		d.writers.Go(d.write)
	}
}

// write writes until nothing is due.
func (d *disk) write() {
	for {
		d.mu.Lock()
		wait := time.Until(d.written.Add(writeGap))
		d.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-d.closing:
			timer.Stop()
		}
		d.save()
		d.mu.Lock()
		if !d.due {
			d.writing = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
	}
}

// close writes what is not written yet. Nobody learns anything any more.
func (d *disk) close() {
	if d == nil {
		return
	}
	d.end()
	d.writers.Wait()
	d.mu.Lock()
	newer := d.newer
	d.mu.Unlock()
	if newer {
		d.save()
	}
}

func (d *disk) save() {
	d.mu.Lock()
	d.newer, d.due, d.written = false, false, time.Now()
	d.mu.Unlock()
	// Other programs may ask the same registry, and other things.
	text, err := json.Marshal(diskFile{d.url, newest(append(d.collect(), d.read()...))})
	if err == nil {
		err = d.replace(text)
	}
	if err != nil {
		d.log.Debug("the registry's answers are not kept on disk", "file", d.file, "err", err)
	}
	d.prune()
}

// newest is the newest answer to each query, as far as there is room.
func newest(all []onDisk) []onDisk {
	slices.SortStableFunc(all, func(a, b onDisk) int { return b.AsOf.Compare(a.AsOf) })
	kept, bytes, seen := []onDisk{}, 0, map[string]bool{}
	for _, a := range all {
		if seen[a.Path] || len(kept) == maxKnown || bytes+len(a.Body) > maxOnDisk {
			continue
		}
		seen[a.Path] = true
		bytes += len(a.Body)
		kept = append(kept, a)
	}
	return kept
}

// replace puts text into the file, in one step. Only its user can read it.
func (d *disk) replace(text []byte) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(d.dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), d.file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// read reads the file. One that is not ours, or is broken, is none.
func (d *disk) read() []onDisk {
	text, err := readSmall(d.file)
	var f diskFile
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		d.log.Debug("no answers of the registry are on disk", "file", d.file, "err", err)
		return nil
	case f.Registry != d.url:
		return nil
	}
	now := time.Now()
	for i := range f.Answers {
		if f.Answers[i].AsOf.After(now) { // the clock was set back
			f.Answers[i].AsOf = now
		}
	}
	return f.Answers
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > 2*maxOnDisk { // to open a pipe may take for ever
		return nil, fmt.Errorf("read %s: it is no file of at most %d bytes", path, 2*maxOnDisk)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 2*maxOnDisk))
}

// prune removes what was not written to for longest, where there are too many files, and
// what a program has left behind that was killed while it wrote.
func (d *disk) prune() {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return
	}
	var files []os.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		switch name := e.Name(); {
		case strings.HasPrefix(name, ".new-") && time.Since(info.ModTime()) > leftBehind:
			_ = os.Remove(filepath.Join(d.dir, name))
		case len(name) == len(filepath.Base(d.file)) && filepath.Ext(name) == ".json":
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, old := range files[min(len(files), maxFiles):] {
		_ = os.Remove(filepath.Join(d.dir, old.Name()))
	}
}
