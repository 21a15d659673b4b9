package engines

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Kind is what a model can be given as.
type Kind string

// The kinds there are.
const (
	GGUF Kind = "gguf" // a file in that format
	Dir  Kind = "dir"  // a directory with a model's files
	HF   Kind = "hf"   // ORG/NAME[:QUANT] on Hugging Face
	Name Kind = "name" // a name that the engine knows
	Any  Kind = "any"  // whatever; the engine does not look at it
)

func kinds() []Kind { return []Kind{GGUF, Dir, HF, Name, Any} }

// Model is a model as an engine is told of it. The zero Model is none.
type Model struct {
	Raw   string // as the user gave it
	Kind  Kind
	Path  string // absolute, of a GGUF or a Dir
	Repo  string // of an HF
	Alias string // the name under which the engine is asked to serve it
}

// Ref is the model as most engines take it: its path, else as the user gave it.
func (m Model) Ref() string {
	if m.Path != "" {
		return m.Path
	}
	return m.Raw
}

var repoName = regexp.MustCompile(`^[\w.-]+/[\w.-]+(:[\w.-]+)?$`)

// ResolveModel finds out what the user means by raw and looks at files, so that a
// model that can't work is refused before anything is started. The error is a
// *ModelError. Names and repositories are not looked up.
func (p Profile) ResolveModel(raw string) (Model, error) {
	takes := func(k Kind) bool { return slices.Contains(p.Model.Kinds, k) }
	switch {
	case raw == "" && p.Model.Needed:
		return Model{}, p.needsModel()
	case raw == "":
		return Model{}, nil
	case takes(Any):
		return Model{Raw: raw, Kind: Any, Alias: aliasOf(raw)}, nil
	case (takes(GGUF) || takes(Dir)) && isPath(raw):
		return p.resolvePath(raw)
	case takes(HF) && repoName.MatchString(raw):
		return Model{Raw: raw, Kind: HF, Repo: raw, Alias: raw}, nil
	case takes(Name) && !isPath(raw) && !strings.ContainsAny(raw, " \t\n"):
		return Model{Raw: raw, Kind: Name, Alias: raw}, nil
	}
	return Model{}, p.refuse(raw, "it is neither a file that exists nor a name that the engine could know", nil)
}

// isPath reports whether raw is meant as a path. A bare word never is: it would be
// a name one day and a path the next, when a file of that name appears.
func isPath(raw string) bool {
	for _, prefix := range []string{"/", "./", "../", "~/"} {
		if strings.HasPrefix(raw, prefix) {
			return true
		}
	}
	if strings.HasSuffix(strings.ToLower(raw), ".gguf") {
		return true
	}
	if !strings.Contains(raw, "/") {
		return false
	}
	_, err := os.Stat(raw)
	return err == nil
}

func (p Profile) resolvePath(raw string) (Model, error) {
	path, err := homePath(raw)
	if err != nil {
		return Model{}, p.refuse(raw, err.Error(), err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Model{}, p.refuse(raw, fmt.Sprintf("there is no file %s", path), err)
	case err != nil:
		return Model{}, p.refuse(raw, fmt.Sprintf("look at %s: %v", path, err), err)
	case info.IsDir() && slices.Contains(p.Model.Kinds, Dir):
		return Model{Raw: raw, Kind: Dir, Path: path, Alias: filepath.Base(path)}, nil
	case info.IsDir():
		return Model{}, p.refuse(raw, fmt.Sprintf("%s is a directory", path), nil)
	case !slices.Contains(p.Model.Kinds, GGUF):
		return Model{}, p.refuse(raw, fmt.Sprintf("%s is a file, which this engine does not take", path), nil)
	case !info.Mode().IsRegular():
		return Model{}, p.refuse(raw, fmt.Sprintf("%s is not a regular file", path), nil)
	}
	if err := checkGGUF(path); err != nil {
		return Model{}, p.refuse(raw, err.Error(), err)
	}
	return Model{Raw: raw, Kind: GGUF, Path: path, Alias: aliasOf(path)}, nil
}

// checkGGUF looks at the first bytes; what comes after is the engine's to judge.
func checkGGUF(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	magic := make([]byte, 4)
	n, err := io.ReadFull(f, magic)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if !bytes.Equal(magic, []byte("GGUF")) {
		return fmt.Errorf("%s is not a GGUF file: it begins with %q", path, magic[:n])
	}
	return nil
}

// homePath replaces a leading ~, which shells leave alone in --model=~/x.
func homePath(raw string) (string, error) {
	if rest, ok := strings.CutPrefix(raw, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		return filepath.Join(home, rest), nil
	}
	return filepath.Abs(raw)
}

// aliasOf is a path's file name without .gguf, and any other name as it is.
func aliasOf(raw string) string {
	if !isPath(raw) {
		return raw
	}
	base := filepath.Base(raw)
	if ext := filepath.Ext(base); strings.EqualFold(ext, ".gguf") && ext != base {
		base = strings.TrimSuffix(base, ext)
	}
	return base
}

func (p Profile) needsModel() error {
	return &ModelError{Engine: p.Name, Reason: "it needs a model and none was given", Hint: p.Model.Hint}
}

func (p Profile) refuse(raw, reason string, cause error) error {
	return &ModelError{Engine: p.Name, Model: raw, Reason: reason, Hint: p.Model.Hint, Err: cause}
}
