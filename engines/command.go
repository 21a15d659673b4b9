package engines

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Arg is one item of a profile's args: a word that is always given, or a group of
// words that is left out as a whole when a placeholder in it is empty.
type Arg struct {
	Words []string
	Group bool
}

// UnmarshalYAML reads a string or a list of strings.
func (a *Arg) UnmarshalYAML(decode func(any) error) error {
	var word string
	if err := decode(&word); err == nil {
		*a = Arg{Words: []string{word}}
		return nil
	}
	a.Group = true
	return decode(&a.Words)
}

// Vars are the values of one launch. Empty ones are left out of the command line
// where the profile allows it.
type Vars struct {
	Host        string // the literal address to listen on
	Port        int    // 1-65535
	Model       Model  // from ResolveModel
	WorkerID    string
	RegistryURL string
	QueenURL    string
	DataDir     string   // where the engine may keep files of this worker
	Extra       []string // the user's own arguments, after all others
}

// values is the one place that names the placeholders.
func (v Vars) values() map[string]string {
	port := ""
	if v.Port != 0 {
		port = strconv.Itoa(v.Port)
	}
	return map[string]string{
		"host":         v.Host,
		"port":         port,
		"model":        v.Model.Ref(),
		"model_path":   v.Model.Path,
		"model_repo":   v.Model.Repo,
		"alias":        v.Model.Alias,
		"worker_id":    v.WorkerID,
		"registry_url": v.RegistryURL,
		"queen_url":    v.QueenURL,
		"data_dir":     v.DataDir,
	}
}

func placeholders() []string { return slices.Sorted(maps.Keys(Vars{}.values())) }

// placeholder leaves other braces alone: engines take JSON in arguments.
var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

func checkPlaceholders(words []string, known ...string) error {
	for _, word := range words {
		for _, m := range placeholder.FindAllStringSubmatch(word, -1) {
			if !slices.Contains(known, m[1]) {
				return fmt.Errorf("%q: there is no placeholder {%s}; known are {%s}", word, m[1], strings.Join(known, "} {"))
			}
		}
	}
	return nil
}

// fill replaces the placeholders of word and reports whether all had a value.
func fill(word string, values map[string]string) (filled string, whole bool) {
	whole = true
	filled = placeholder.ReplaceAllStringFunc(word, func(m string) string {
		value := values[m[1:len(m)-1]]
		whole = whole && value != ""
		return value
	})
	return filled, whole
}

// Command is what to run.
type Command struct {
	Path  string   // the program
	Args  []string // its arguments, without the program's name
	Env   []string // NAME=value, to set for it
	Scrub []string // patterns of variable names that it must not inherit
}

// Command is the engine's command line for one launch. It refuses a missing model
// where one is needed (*ModelError), and a port among the user's own arguments that
// is not v's (see PortArg).
func (f Found) Command(v Vars) (Command, error) {
	if f.Model.Needed && v.Model == (Model{}) {
		return Command{}, f.needsModel()
	}
	port, extra, err := f.PortArg(v.Extra)
	if err != nil {
		return Command{}, err
	}
	if port != 0 && port != v.Port {
		return Command{}, fmt.Errorf("make the command line of %s: its arguments ask for port %d, the port leased for it is %d", f.Name, port, v.Port)
	}
	values := v.values()
	c := Command{Path: f.Argv[0], Args: slices.Clone(f.Argv[1:]), Scrub: slices.Clone(f.Scrub)}
	for _, arg := range f.Args {
		whole := true
		words := make([]string, len(arg.Words))
		for i, word := range arg.Words {
			filled, has := fill(word, values)
			words[i], whole = filled, whole && has
		}
		if whole || !arg.Group {
			c.Args = append(c.Args, words...)
		}
	}
	c.Args = append(c.Args, extra...)
	for _, name := range slices.Sorted(maps.Keys(f.Env)) {
		if value, whole := fill(f.Env[name], values); whole {
			c.Env = append(c.Env, name+"="+value)
		}
	}
	return c, nil
}

// PortArg finds the port that the user's own arguments choose, 0 when they choose
// none, and what is left of them. A launcher that wants to honour the choice leases
// that port.
func (p Profile) PortArg(extra []string) (port int, rest []string, err error) {
	for i := 0; i < len(extra); i++ {
		name, value, joined := strings.Cut(extra[i], "=")
		if !slices.Contains(p.PortFlags, name) {
			rest = append(rest, extra[i])
			continue
		}
		if !joined {
			if i++; i == len(extra) {
				return 0, nil, fmt.Errorf("read the arguments for %s: %s has no value", p.Name, name)
			}
			value = extra[i]
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 65535 {
			return 0, nil, fmt.Errorf("read the arguments for %s: %s %q is not a port from 1 to 65535", p.Name, name, value)
		}
		if port != 0 && port != n {
			return 0, nil, fmt.Errorf("read the arguments for %s: they ask for port %d and for port %d", p.Name, port, n)
		}
		port = n
	}
	return port, rest, nil
}

// Environ is the whole environment of the engine: base without what is scrubbed or
// set anew, then what is set.
func (c Command) Environ(base []string) []string {
	env := slices.DeleteFunc(slices.Clone(base), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return c.replaces(name)
	})
	return append(env, c.Env...)
}

func (c Command) replaces(name string) bool {
	for _, set := range c.Env {
		if strings.HasPrefix(set, name+"=") {
			return true
		}
	}
	for _, pattern := range c.Scrub {
		if match, _ := filepath.Match(pattern, name); match { // checked on load
			return true
		}
	}
	return false
}
