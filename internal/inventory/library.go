package inventory

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

var errNoFolder = errors.New("the folder does not exist")

// library is what is known of files, by path.
type library map[string]volume

type volume struct {
	size     int64
	modified time.Time
	shards   int
	model    Model
	err      error
}

// read reads f, unless it is known and has not changed.
func (l library) read(f file) volume {
	v, known := l[f.path]
	if known && v.size == f.size && v.modified.Equal(f.modified) && v.shards == len(f.shards) && f.wrong == "" && v.lasting() {
		return v
	}
	v = volume{size: f.size, modified: f.modified, shards: len(f.shards)}
	v.model, v.err = readModel(f)
	return v
}

// lasting reports whether reading the same file again would tell the same. A file that
// could not be opened may be readable without having changed.
func (v volume) lasting() bool {
	return v.err == nil || errors.Is(v.err, errFormat) || errors.Is(v.err, errNoModel)
}

// lookAtModels walks the folders and reads what has changed. Until the first look has
// ended, it tells of each model as soon as it has read it.
func (inv *Inventory) lookAtModels() {
	start := time.Now()
	var files []file
	folders := make([]Folder, len(inv.dirs))
	seen := map[string]bool{}
	of := map[string]int{} // a path's folder
	for i, dir := range inv.dirs {
		found, exists, err := find(dir, inv.stop)
		folders[i] = Folder{Path: dir, Exists: exists}
		if err != nil {
			folders[i].Error = err.Error()
		} else if !exists && !inv.cfg.NobodyAsked {
			err = errNoFolder
		}
		if err != nil {
			err = fmt.Errorf("look for models in %s: %w; what can't be seen there is not offered, and not to be had by request", dir, err)
		}
		inv.failing.tell(inv.log, dir, err)
		for _, f := range found {
			if !seen[f.real] { // one folder may be inside another
				seen[f.real], of[f.path] = true, i
				files = append(files, f)
			}
		}
	}
	if inv.stopped() {
		return
	}
	next, models, names := library{}, []Model(nil), map[string]bool{}
	for _, f := range files {
		if inv.stopped() {
			return
		}
		v := inv.library.read(f)
		next[f.path] = v
		if errors.Is(v.err, errNoModel) {
			continue
		}
		folders[of[f.path]].Models++
		models = append(models, named(v.model, names))
		inv.remember(func(k *known) {
			if !k.whole {
				k.models = models
			}
		})
	}
	inv.library = next
	inv.remember(func(k *known) { k.models, k.folders, k.whole, k.at = models, folders, true, start })
}

func (inv *Inventory) stopped() bool {
	select {
	case <-inv.stop:
		return true
	default:
		return false
	}
}

// named is the model under a name that none before it has.
func named(m Model, taken map[string]bool) Model {
	if taken[strings.ToLower(m.Name)] {
		m.Name = filepath.Clean(m.Path)
	}
	taken[strings.ToLower(m.Name)] = true
	return m
}
