package engines

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Finder tells how a program is run: usually by its path alone, with more words
// when another program runs it. A name with a slash is a path. Whoever has programs
// of its own to offer answers for those and leaves the rest to Find.
type Finder func(program string) (argv []string, err error)

// Find is the Finder of this machine: PATH, or the file itself where the name is a
// path. It replaces $VAR and a leading ~ in paths.
func Find(program string) ([]string, error) {
	if !strings.Contains(program, "/") {
		path, err := exec.LookPath(program)
		if err != nil {
			return nil, err
		}
		return []string{path}, nil
	}
	path, err := expand(program)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	}
	return []string{path}, nil
}

func expand(path string) (string, error) {
	unset := ""
	path = os.Expand(path, func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			unset = name
		}
		return value
	})
	if unset != "" {
		return "", fmt.Errorf("$%s is not set", unset)
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		path = filepath.Join(home, rest)
	}
	return path, nil
}

// Found is an engine that is installed.
type Found struct {
	Profile
	Argv []string // the program and the arguments that come before all others
}

// Choose picks the engine for a worker: the one named, or where engine is empty the
// first that serves the type and is installed. A nil find is Find. The error is an
// *UnknownError for a type or an engine that is not known and a *NotInstalledError
// when nothing was found.
func (c *Catalog) Choose(workerType, engine string, find Finder) (Found, error) {
	candidates, err := c.candidates(workerType, engine)
	if err != nil {
		return Found{}, err
	}
	if find == nil {
		find = Find
	}
	for _, p := range candidates {
		if argv := p.look(find); argv != nil {
			return Found{Profile: p, Argv: argv}, nil
		}
	}
	return Found{}, &NotInstalledError{Type: workerType, Wanted: candidates}
}

func (c *Catalog) candidates(workerType, engine string) ([]Profile, error) {
	if engine != "" {
		p, err := c.Profile(engine)
		if err != nil {
			return nil, err
		}
		if workerType != "" && !p.serves(workerType) {
			return nil, fmt.Errorf("choose an engine: %s serves %s, not %s", p.Name, strings.Join(p.Types, " and "), workerType)
		}
		return []Profile{p}, nil
	}
	var list []Profile
	for _, p := range c.profiles {
		if p.serves(workerType) && !p.Explicit {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return nil, &UnknownError{What: "worker type", Name: workerType, Known: c.types()}
	}
	return list, nil
}

// look is how the engine is run on this machine, or nil.
func (p Profile) look(find Finder) []string {
	for _, program := range p.Programs {
		argv, err := find(program.Run)
		if err != nil {
			continue
		}
		file := ""
		if program.File != "" {
			found, err := find(program.File)
			if err != nil {
				continue
			}
			file = found[0]
		}
		argv = slices.Clone(argv)
		for _, arg := range program.Args {
			argv = append(argv, strings.ReplaceAll(arg, "{file}", file))
		}
		return argv
	}
	return nil
}

// lookedFor names what look tries; a file tells more than the program that runs it.
func (p Profile) lookedFor() []string {
	var list []string
	for _, program := range p.Programs {
		text := program.Run
		if program.File != "" {
			text = program.File
		}
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// Installed is one line of what List tells.
type Installed struct {
	Name     string   `json:"name"`
	Types    []string `json:"types"`
	Explicit bool     `json:"explicit,omitempty"` // chosen by its name alone
	Path     string   `json:"path,omitempty"`     // of the program; empty when it is not installed
	Install  string   `json:"install,omitempty"`  // one way to install it
}

// List tells of every engine whether it is installed, in order of preference. A
// nil find is Find.
func (c *Catalog) List(find Finder) []Installed {
	if find == nil {
		find = Find
	}
	list := make([]Installed, len(c.profiles))
	for i, p := range c.profiles {
		list[i] = Installed{Name: p.Name, Types: slices.Clone(p.Types), Explicit: p.Explicit, Install: p.Install}
		if argv := p.look(find); argv != nil {
			list[i].Path = argv[0]
		}
	}
	return list
}
