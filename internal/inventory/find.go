package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// NotFoundError: no model goes by that name or path.
type NotFoundError struct {
	Wanted string
	Known  []string // names of models
	Dirs   []string // where was looked
	Late   bool     // the look had not ended
}

func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("find the model %q: ", e.Wanted)
	switch {
	case len(e.Dirs) == 0:
		return text + "there are no model folders"
	case e.Late:
		text += "not in what is known of " + few(e.Dirs) + " so far; the look has not ended yet"
	case len(e.Known) == 0:
		text += "there are no models in " + few(e.Dirs)
	default:
		text += "not in " + few(e.Dirs)
	}
	if len(e.Known) > 0 {
		text += "; there are " + few(e.Known)
	}
	return text
}

// OutsideError: the path is not that of a file in a model folder.
type OutsideError struct {
	Path string
	Dirs []string
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("find the model %s: it is outside of the model folders (%s)", e.Path, few(e.Dirs))
}

// few is a list that stays short.
func few(list []string) string {
	const most = 10
	if more := len(list) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), more)
	}
	return strings.Join(list, ", ")
}

// FindModel finds the model that a request means: by its name or its file's in any
// case, or by a path, which may be relative to a model folder. The error is a
// *NotFoundError or an *OutsideError; a path outside of the folders is not looked at,
// and one that leads out of them over links is refused, unless it is one of the files
// in Machine.Models. A model whose file can't be read is found, with its Error. It
// takes as long as a Look, and knows what that would know.
func (inv *Inventory) FindModel(ctx context.Context, wanted string) (Model, error) {
	ctx, cancel := context.WithTimeout(ctx, inv.cfg.Limit)
	defer cancel()
	look := inv.begin("models", inv.lookAtModels)
	late := look != nil && !ended(ctx, look)
	inv.mu.Lock()
	models := inv.last.models
	inv.mu.Unlock()

	if m, ok := among(models, wanted); ok {
		return m, nil
	}
	missing := &NotFoundError{Wanted: wanted, Dirs: inv.dirs, Late: late}
	for _, m := range models {
		if m.Error == "" {
			missing.Known = append(missing.Known, m.Name)
		}
	}
	if !strings.ContainsRune(wanted, filepath.Separator) || len(inv.dirs) == 0 {
		return Model{}, missing
	}
	outside := &OutsideError{Path: wanted, Dirs: inv.dirs}
	result := error(outside)
	for _, dir := range inv.dirs {
		path := filepath.Clean(wanted)
		if !filepath.IsAbs(wanted) {
			path = filepath.Join(dir, wanted)
		}
		if late { // the folder may be on a file server that hangs
			if m, ok := at(models, path); ok {
				return m, nil
			}
			result = missing
			continue
		}
		m, err := inv.byPath(dir, path, models)
		switch {
		case err == nil:
			return m, nil
		case errors.Is(err, fs.ErrNotExist):
			result = missing
		case errors.Is(err, errLeadsOut):
			return Model{}, outside
		case !errors.Is(err, errElsewhere):
			return Model{}, fmt.Errorf("find the model %s: %w", wanted, err)
		}
	}
	return Model{}, result
}

// ended waits for a look until ctx ends, and reports whether it came to an end.
func ended(ctx context.Context, look <-chan struct{}) bool {
	select {
	case <-look:
		return true
	case <-ctx.Done():
		select {
		case <-look: // both at once
			return true
		default:
			return false
		}
	}
}

// among finds a model by name, else by the name of its file.
func among(models []Model, wanted string) (Model, bool) {
	for _, of := range []func(Model) string{
		func(m Model) string { return m.Name },
		func(m Model) string { return filepath.Base(m.Path) },
	} {
		i := slices.IndexFunc(models, func(m Model) bool { return wanted != "" && strings.EqualFold(of(m), wanted) })
		if i >= 0 {
			return models[i], true
		}
	}
	return Model{}, false
}

var (
	errElsewhere = errors.New("not inside of the folder")
	errLeadsOut  = errors.New("leads out of the folder over a link")
)

// byPath finds the model at a path that is inside dir; else it is one of the above, or
// fs.ErrNotExist. Which paths are looked at at all is a question of their text, so that
// no answer tells what there is elsewhere.
func (inv *Inventory) byPath(dir, path string, models []Model) (Model, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Model{}, errElsewhere
	}
	switch {
	case inside(dir, path):
	case inside(real, path):
		path = filepath.Join(dir, strings.TrimPrefix(path, real))
	default:
		return Model{}, errElsewhere
	}
	if m, ok := at(models, path); ok {
		return m, nil
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Model{}, err
	}
	if !inv.holds(target) {
		return Model{}, errLeadsOut
	}
	if m, ok := at(models, filepath.Join(dir, strings.TrimPrefix(target, real))); ok {
		return m, nil
	}
	if model, _ := isModel(filepath.Base(target)); !model {
		return Model{}, fs.ErrNotExist
	}
	f, err := describe(target)
	if err != nil {
		return Model{}, err
	}
	m, err := readModel(f)
	if errors.Is(err, errNoModel) {
		return Model{}, fs.ErrNotExist
	}
	return m, nil
}

// at finds a model by its path.
func at(models []Model, path string) (Model, bool) {
	i := slices.IndexFunc(models, func(m Model) bool { return m.Path == path })
	if i < 0 {
		return Model{}, false
	}
	return models[i], true
}

// holds reports whether a path without links is inside a model folder.
func (inv *Inventory) holds(target string) bool {
	return slices.ContainsFunc(inv.dirs, func(dir string) bool {
		real, err := filepath.EvalSymlinks(dir)
		return err == nil && inside(real, target)
	})
}

// inside reports whether a path is below dir, by its text.
func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel) && rel != "."
}
