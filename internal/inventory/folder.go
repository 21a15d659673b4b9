package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a folder may hold before it is not a folder of models, but a whole disk.
const (
	maxDepth   = 8       // folders below the one that is named
	maxEntries = 200_000 // looked at in one folder
	maxModels  = 10_000  // found in one folder
	maxShards  = 256
)

// file is a model's file, or its shards.
type file struct {
	path     string // of the first one
	real     string // the same, but for links among its folders
	name     string
	size     int64 // of all
	modified time.Time
	shards   []string // paths, when there are several
	wrong    string   // why there is no need to read it
}

// unfinished are the endings that downloaders give to what is not whole.
var unfinished = []string{".part", ".partial", ".incomplete", ".download", ".crdownload", ".tmp"}

// isModel reports whether a file's name is that of a model, or of its first shard, and
// whether it says that the file is whole. A projector for images belongs to a model
// and is none.
func isModel(base string) (model, whole bool) {
	lower := strings.ToLower(base)
	whole = true
	for _, ending := range unfinished {
		if rest, cut := strings.CutSuffix(lower, ending); cut {
			lower, whole = rest, false
		}
	}
	if m := shardName.FindStringSubmatch(lower); m != nil && m[2] != "00001" {
		return false, whole
	}
	return strings.HasSuffix(lower, ".gguf") && !strings.HasPrefix(lower, ".") && !strings.HasPrefix(lower, "mmproj"), whole
}

var shardName = regexp.MustCompile(`(?i)^(.+)-(\d{5})-of-(\d{5})\.gguf$`)

// nameOf is a model's name, of the name of its (first) file.
func nameOf(base string) string {
	if m := shardName.FindStringSubmatch(base); m != nil {
		return m[1]
	}
	if ext := filepath.Ext(base); strings.EqualFold(ext, ".gguf") {
		return strings.TrimSuffix(base, ext)
	}
	return base
}

// walk finds the models below one folder.
type walk struct {
	root    string // without symbolic links
	entries int
	found   []file
	errs    []error
	stop    <-chan struct{}
}

var errTooMany = errors.New("there is more in it than is looked at")

// find lists the models below dir, by path. A folder that is missing holds none. What
// could not be read is in the error, beside the rest.
func find(dir string, stop <-chan struct{}) (found []file, exists bool, err error) {
	root, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	w := walk{root: root, stop: stop}
	w.folder(root, 0)
	for i := range w.found {
		f := &w.found[i]
		rel, _ := filepath.Rel(root, f.path)
		f.real, f.path = f.path, filepath.Join(dir, rel) // as the user named the folder
	}
	return w.found, true, errors.Join(w.errs[:min(len(w.errs), 10)]...)
}

// full reports whether it is enough.
func (w *walk) full() bool {
	select {
	case <-w.stop:
		return true
	default:
	}
	if len(w.found) < maxModels {
		return false
	}
	w.tooMany()
	return true
}

func (w *walk) tooMany() {
	if !slices.Contains(w.errs, errTooMany) {
		w.errs = slices.Insert(w.errs, 0, errTooMany)
	}
}

func (w *walk) folder(dir string, depth int) {
	entries, err := w.list(dir)
	if err != nil {
		w.errs = append(w.errs, err)
	}
	for _, e := range entries {
		if w.full() {
			return
		}
		switch path := filepath.Join(dir, e.Name()); {
		case e.IsDir() && !strings.HasPrefix(e.Name(), ".") && depth < maxDepth:
			w.folder(path, depth+1)
		case e.Type().IsRegular() || e.Type()&fs.ModeSymlink != 0:
			w.file(path)
		}
	}
}

// list is what a folder holds, by name.
func (w *walk) list(dir string) ([]fs.DirEntry, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// One that has more than the limit is read as far as that, in the file system's order.
	all, err := f.ReadDir(max(1, maxEntries-w.entries))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if w.entries += len(all); w.entries >= maxEntries {
		w.tooMany()
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return all, err
}

// file adds the file if it is a model, or a model's first shard. Links to files count:
// that is how people share models.
func (w *walk) file(path string) {
	base := filepath.Base(path)
	model, whole := isModel(base)
	if !model {
		return
	}
	f, err := describe(path)
	if err != nil {
		w.errs = append(w.errs, err)
		return
	}
	if !whole {
		f.wrong = "its name says that it has not been downloaded to its end"
	}
	w.found = append(w.found, f)
}

// describe looks at a model's file, and at its other shards.
func describe(path string) (file, error) {
	base := filepath.Base(path)
	f := file{path: path, name: nameOf(base)}
	paths := []string{path}
	if m := shardName.FindStringSubmatch(base); m != nil {
		count, _ := strconv.Atoi(m[3])
		if count > maxShards {
			f.wrong = fmt.Sprintf("its name says that it has %d shards, more than %d", count, maxShards)
			count = 1
		}
		prefix := path[:len(path)-len("-00001-of-00001.gguf")]
		for n := 2; n <= count; n++ {
			paths = append(paths, fmt.Sprintf("%s-%05d-of-%s%s", prefix, n, m[3], path[len(path)-len(".gguf"):]))
		}
	}
	for i, p := range paths {
		info, err := os.Stat(p)
		switch {
		case errors.Is(err, fs.ErrNotExist) && i > 0:
			f.wrong = fmt.Sprintf("shard %d of %d is missing", i+1, len(paths))
			return f, nil
		case err != nil:
			return file{}, err
		case !info.Mode().IsRegular():
			return file{}, fmt.Errorf("%s is not a regular file", p)
		}
		f.size += info.Size()
		if at := info.ModTime().UTC(); at.After(f.modified) {
			f.modified = at
		}
	}
	if len(paths) > 1 {
		f.shards = paths
	}
	return f, nil
}
