package engines

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

//go:embed profiles.yaml
var builtin []byte

// Catalog is the profiles there are, in order of preference. It is not changed once
// loaded, and may be used by several goroutines.
type Catalog struct {
	profiles []Profile
}

// UserFile is where Load looks for the user's profiles:
// $XDG_CONFIG_HOME/rbee/engines.yaml, else ~/.config/rbee/engines.yaml. It is empty
// when there is neither.
func UserFile() string {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // the specification says to ignore relative ones
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "rbee", "engines.yaml")
}

// Load reads the built-in profiles and the user's. An empty userFile stands for
// UserFile, which need not exist; a file that is named must. Errors give the file,
// the line and what is wrong there.
func Load(userFile string) (*Catalog, error) {
	c := &Catalog{}
	if err := c.merge("built-in profiles", builtin); err != nil {
		return nil, err
	}
	named := userFile != ""
	if !named {
		userFile = UserFile()
	}
	if userFile == "" {
		return c, nil
	}
	body, err := os.ReadFile(userFile)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read engine profiles: %w", err)
	}
	if err := c.merge(userFile, body); err != nil {
		return nil, err
	}
	return c, nil
}

// merge adds the profiles of one file. Decoding one over the profile of the same
// name changes just the fields that the file names.
func (c *Catalog) merge(file string, body []byte) error {
	var doc struct{ Engines []ast.Node }
	if err := yaml.UnmarshalWithOptions(body, &doc, yaml.Strict()); err != nil {
		return fmt.Errorf("read engine profiles: %s: %w", file, err)
	}
	seen := map[string]bool{}
	for _, node := range doc.Engines {
		var id struct{ Name string }
		if err := yaml.NodeToValue(node, &id); err != nil {
			return fmt.Errorf("read engine profiles: %s: %w", file, err)
		}
		at := fmt.Sprintf("%s:%d: engine %q", file, node.GetToken().Position.Line, id.Name)
		if seen[id.Name] {
			return fmt.Errorf("read engine profiles: %s is there twice", at)
		}
		seen[id.Name] = true
		i := slices.IndexFunc(c.profiles, func(p Profile) bool { return p.Name == id.Name })
		p := defaults()
		if i >= 0 {
			p = c.profiles[i]
		}
		if err := yaml.NodeToValue(node, &p, yaml.Strict()); err != nil {
			return fmt.Errorf("read engine profiles: %s: %w", file, err)
		}
		if err := p.check(); err != nil {
			return fmt.Errorf("read engine profiles: %s: %w", at, err)
		}
		if i < 0 {
			c.profiles = append(c.profiles, p)
		} else {
			c.profiles[i] = p
		}
	}
	return nil
}

// defaults is what a profile says that says nothing.
func defaults() Profile {
	return Profile{
		Ready: Probe{Status: 200},
		Live:  Probe{Status: 200},
		Model: ModelRule{Kinds: []Kind{Any}},
		Stop:  Stop{Signal: Signal(syscall.SIGTERM)},
	}
}

// check finds what the YAML decoder can't.
func (p Profile) check() error {
	switch {
	case p.Name == "":
		return errors.New("it has no name")
	case len(p.Types) == 0:
		return errors.New("types is empty: it could serve nothing")
	case len(p.Programs) == 0:
		return errors.New("programs is empty: there is nothing to look for")
	case p.Loading != "" && p.Loading != "ollama":
		return fmt.Errorf("load: %q is not known; there is ollama", p.Loading)
	}
	for _, program := range p.Programs {
		if program.Run == "" {
			return errors.New("programs: run is missing")
		}
		if err := checkPlaceholders(program.Args, "file"); err != nil {
			return fmt.Errorf("programs: %w", err)
		}
	}
	for _, kind := range p.Model.Kinds {
		if !slices.Contains(kinds(), kind) {
			return fmt.Errorf("model: %q is not a kind of model; there are %v", kind, kinds())
		}
	}
	for _, arg := range p.Args {
		if err := checkPlaceholders(arg.Words, placeholders()...); err != nil {
			return fmt.Errorf("args: %w", err)
		}
	}
	for name, value := range p.Env {
		if err := checkPlaceholders([]string{value}, placeholders()...); err != nil {
			return fmt.Errorf("env: %s: %w", name, err)
		}
	}
	for _, pattern := range p.Scrub {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return fmt.Errorf("scrub: %q: %w", pattern, err)
		}
	}
	return p.checkPaths()
}

func (p Profile) checkPaths() error {
	check := func(field, path string) error {
		if path != "" && !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%s: the path %q does not begin with a slash", field, path)
		}
		return nil
	}
	errs := []error{check("ready", p.Ready.Path), check("live", p.Live.Path), check("metrics", p.Metrics)}
	for _, q := range p.Questions {
		if q.Path == "" {
			errs = append(errs, errors.New("capabilities: a path is missing"))
		}
		errs = append(errs, check("capabilities", q.Path))
	}
	return errors.Join(errs...)
}

// Profile is the one with the name; the error is an *UnknownError.
func (c *Catalog) Profile(name string) (Profile, error) {
	for _, p := range c.profiles {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, &UnknownError{What: "engine", Name: name, Known: c.names()}
}

func (c *Catalog) names() []string {
	names := make([]string, len(c.profiles))
	for i, p := range c.profiles {
		names[i] = p.Name
	}
	return names
}

// types are the worker types that some engine serves.
func (c *Catalog) types() []string {
	var all []string
	for _, p := range c.profiles {
		for _, t := range p.Types {
			if t != "*" {
				all = append(all, t)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
