package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	module   = "github.com/rbee-launch/rbee-launch"
	root     = "../.."
	document = root + "/docs/architecture.md"
)

// TestImports: each package imports those of ours that its row names, no more and no
// fewer, and there is a row for each package.
func TestImports(t *testing.T) {
	allowed := rows(t, "package", "may import")
	packages := listed(t)
	for name, p := range packages {
		want, known := allowed[name]
		if !known {
			t.Errorf("%s has no row in the table of packages", name)
			continue
		}
		compare(t, "the row of "+name, p.ours(), want)
	}
	for name := range allowed {
		if _, exists := packages[name]; !exists {
			t.Errorf("the table of packages has a row for %s, which does not exist", name)
		}
	}
}

// TestModules: each module of others is imported by those packages that its row
// names, no more and no fewer.
func TestModules(t *testing.T) {
	users := map[string][]string{}
	for name, p := range listed(t) {
		for _, m := range p.modules {
			users[m] = append(users[m], name)
		}
	}
	allowed := rows(t, "module", "imported by")
	for m, names := range users {
		compare(t, "the row of "+m, names, allowed[m])
	}
	for m := range allowed {
		if len(users[m]) == 0 {
			t.Errorf("the table of modules has a row for %s, which no package imports", m)
		}
	}
}

// TestDirections holds what no row may change.
func TestDirections(t *testing.T) {
	packages := listed(t)
	for name, p := range packages {
		for _, up := range p.below(packages) {
			if strings.HasPrefix(up, "cmd/") {
				t.Errorf("%s imports %s: nothing imports a command", name, up)
			}
		}
	}
	for leaf, forbidden := range map[string]string{
		"registry":     "registry/server", // a client has no table in it
		"queen/client": "queen",
		"supervisor":   "launch", // processes know nothing of registration
	} {
		if slices.Contains(packages[leaf].below(packages), forbidden) {
			t.Errorf("%s depends on %s", leaf, forbidden)
		}
	}
}

// TestDocumented: each package opens with what it promises.
func TestDocumented(t *testing.T) {
	for name, p := range listed(t) {
		if p.Name != "main" && !slices.Contains(p.GoFiles, "doc.go") {
			t.Errorf("%s has no doc.go", name)
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", name)
		}
	}
}

// compare reports what is imported and not in the row, and the other way round.
func compare(t *testing.T, row string, have, want []string) {
	t.Helper()
	for _, name := range have {
		if !slices.Contains(want, name) {
			t.Errorf("%s does not name %s, which is imported", row, name)
		}
	}
	for _, name := range want {
		if !slices.Contains(have, name) {
			t.Errorf("%s names %s, which is not imported", row, name)
		}
	}
}

// pkg is a package as "go list" tells of it.
type pkg struct {
	ImportPath string
	Name       string
	Doc        string
	GoFiles    []string
	Imports    []string
	Standard   bool
	Module     struct{ Path string }

	modules []string // those of others that it imports, without repetition
}

// ours are the imports that belong to this module, without its prefix.
func (p pkg) ours() []string {
	var names []string
	for _, i := range p.Imports {
		if name, own := strings.CutPrefix(i, module+"/"); own {
			names = append(names, name)
		}
	}
	return names
}

// below are all packages of ours that p depends on.
func (p pkg) below(packages map[string]pkg) []string {
	var all []string
	next := p.ours()
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		if !slices.Contains(all, name) {
			all = append(all, name)
			next = append(next, packages[name].ours()...)
		}
	}
	return all
}

// listed are our packages by name, with their imports on any system we support.
func listed(t *testing.T) map[string]pkg {
	t.Helper()
	packages := map[string]pkg{}
	for _, system := range []string{"linux", "darwin"} {
		all := goList(t, system)
		for importPath, p := range all {
			name, own := strings.CutPrefix(importPath, module+"/")
			if !own {
				continue
			}
			for _, i := range p.Imports {
				if other := all[i]; !other.Standard && other.Module.Path != module {
					p.modules = append(p.modules, other.Module.Path)
				}
			}
			if seen, twice := packages[name]; twice {
				p.Imports = append(p.Imports, seen.Imports...)
				p.modules = append(p.modules, seen.modules...)
			}
			p.Imports, p.modules = unique(p.Imports), unique(p.modules)
			packages[name] = p
		}
	}
	if len(packages) == 0 {
		t.Fatal("go list shows no package of ours")
	}
	return packages
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func goList(t *testing.T, system string) map[string]pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"-json=ImportPath,Name,Doc,GoFiles,Imports,Standard,Module", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v", system, err)
	}
	packages := map[string]pkg{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		packages[p.ImportPath] = p
	}
}
