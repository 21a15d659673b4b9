package inventory_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/inventory"
)

// names are those of the models, in order, with ! where one can't be used.
func names(m inventory.Machine) []string {
	list := []string{}
	for _, model := range m.Models {
		name := model.Name
		if model.Error != "" {
			name += "!"
		}
		list = append(list, name)
	}
	return list
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestModels(t *testing.T) {
	good := llama(t, nil)
	first, second, elsewhere := t.TempDir(), t.TempDir(), t.TempDir()
	in := func(dir string, names ...string) {
		for _, name := range names {
			write(t, filepath.Join(dir, name), good)
		}
	}
	in(first, "a.gguf", "B.GGUF", "sub/c.gguf", "big-00001-of-00002.gguf", "big-00002-of-00002.gguf", "half-00001-of-00002.gguf",
		"many-00001-of-09999.gguf", "mmproj-a.gguf", ".hidden.gguf", ".hidden/d.gguf", "e.gguf.part", "readme.md", "1/2/3/4/5/6/7/8/deep.gguf", "1/2/3/4/5/6/7/8/9/deeper.gguf")
	write(t, filepath.Join(first, "cut.gguf"), good[:len(good)-1])
	write(t, filepath.Join(first, "page.gguf"), []byte("<html>"))
	write(t, filepath.Join(first, "vision.gguf"), llama(t, func(g *gguf) { g.pair("general.type", typeText, "adapter") }))
	in(elsewhere, "shared", "folder/f.gguf")
	link(t, filepath.Join(elsewhere, "shared"), filepath.Join(first, "linked.gguf"))
	link(t, filepath.Join(elsewhere, "folder"), filepath.Join(first, "folder"))
	link(t, filepath.Join(elsewhere, "gone"), filepath.Join(first, "gone.gguf"))
	in(second, "A.gguf", "g.gguf")
	missing := filepath.Join(second, "missing")

	inv := open(t, inventory.Config{ModelDirs: []string{first, filepath.Join(first, "sub"), second, missing}, Limit: time.Minute})
	m := inv.Look(t.Context())
	want := []string{"deep", "B", "a", "big", "cut!", "e.gguf.part!", "half!", "linked", "many!", "page!", "c", filepath.Join(second, "A.gguf"), "g"}
	if got := names(m); !slices.Equal(got, want) {
		t.Errorf("%q,\nwant %q", got, want)
	}
	for _, model := range m.Models {
		if model.Name == "big" && (model.Shards != 2 || model.SizeBytes != int64(2*len(good)) || !strings.HasSuffix(model.Path, "-00001-of-00002.gguf")) {
			t.Errorf("of shards: %+v", model)
		}
		if want := map[string]string{
			"half":        "shard 2 of 2 is missing",
			"many":        "its name says that it has 9999 shards, more than 256",
			"e.gguf.part": "its name says that it has not been downloaded to its end",
		}[model.Name]; want != "" && model.Error != "not a whole GGUF file: "+want {
			t.Errorf("%s: %s", model.Name, model.Error)
		}
	}
	for i, f := range []inventory.Folder{{Path: first, Exists: true, Models: 11}, {Path: filepath.Join(first, "sub"), Exists: true}, {Path: second, Exists: true, Models: 2}, {Path: missing}} {
		got := m.ModelDirs[i]
		if i == 0 && !strings.Contains(got.Error, "gone.gguf") {
			t.Errorf("the link to nowhere is not told of: %+v", got)
		}
		got.Error = ""
		if got != f {
			t.Errorf("folder %d: %+v, want %+v", i, got, f)
		}
	}
	if m.ModelsAt.IsZero() || len(m.Problems) != 0 {
		t.Errorf("%s, %q", m.ModelsAt, m.Problems)
	}
}

// A folder that is named is looked at, be it hidden or a link.
func TestModelsInAFolderThatIsNamed(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".cache/models/a.gguf"), llama(t, nil))
	named := filepath.Join(dir, "models")
	link(t, ".cache/models", named)
	inv := open(t, inventory.Config{ModelDirs: []string{named}, Limit: time.Minute})
	m := inv.Look(t.Context())
	if len(m.Models) != 1 || m.Models[0].Path != filepath.Join(named, "a.gguf") || m.Models[0].Error != "" {
		t.Errorf("%+v", m.Models)
	}
}

// A file is read again when it changes, and only then.
func TestModelsAreRemembered(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.gguf")
	at := time.Now().Add(-time.Hour)
	put := func(content []byte, at time.Time) {
		write(t, path, content)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	good := llama(t, nil)
	inv := open(t, inventory.Config{ModelDirs: []string{dir}, Limit: time.Minute})
	for _, step := range []struct {
		what    string
		content []byte
		at      time.Time
		want    []string
	}{
		{"at first", good, at, []string{"a"}},
		{"changed in a way that can't be seen", make([]byte, len(good)), at, []string{"a"}},
		{"later", make([]byte, len(good)), at.Add(time.Second), []string{"a!"}},
		{"longer", append(good, 0), at.Add(time.Second), []string{"a"}},
	} {
		put(step.content, step.at)
		if got := names(inv.Look(t.Context())); !slices.Equal(got, step.want) {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := names(inv.Look(t.Context())); len(got) != 0 {
		t.Errorf("removed: %q", got)
	}
}
