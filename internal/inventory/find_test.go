package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/inventory"
)

func TestFindModel(t *testing.T) {
	good := llama(t, nil)
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	for _, name := range []string{"models/a.gguf", "models/sub/b.gguf", "models/.hidden/c.gguf", "models/s-00001-of-00002.gguf", "models/s-00002-of-00002.gguf", "models/mmproj-a.gguf", "more/a.gguf", "modelsx/d.gguf", "private/e.gguf"} {
		write(t, at(name), good)
	}
	write(t, at("models/broken.gguf"), []byte("<html>"))
	write(t, at("models/notes.txt"), good)
	link(t, at("private/e.gguf"), at("models/linked.gguf"))
	link(t, at("private"), at("models/out"))
	link(t, at("models"), at("alias"))
	inv := open(t, inventory.Config{ModelDirs: []string{at("alias"), at("more")}, Limit: time.Minute})

	for _, test := range []struct{ wanted, path string }{
		{"a", "alias/a.gguf"},
		{"A", "alias/a.gguf"},
		{"b.gguf", "alias/sub/b.gguf"},
		{"s", "alias/s-00001-of-00002.gguf"},
		{"s-00001-of-00002.gguf", "alias/s-00001-of-00002.gguf"},
		{"linked", "alias/linked.gguf"},
		{at("alias/linked.gguf"), "alias/linked.gguf"},
		{at("models/linked.gguf"), "alias/linked.gguf"},
		{at("models/a.gguf"), "alias/a.gguf"},
		{at("alias/sub/../a.gguf"), "alias/a.gguf"},
		{at("more/a.gguf"), "more/a.gguf"},
		{"sub/b.gguf", "alias/sub/b.gguf"},
		{"./a.gguf", "alias/a.gguf"},
		{at("alias/.hidden/c.gguf"), "models/.hidden/c.gguf"},
		{"broken", "alias/broken.gguf"},
	} {
		m, err := inv.FindModel(t.Context(), test.wanted)
		if err != nil || m.Path != at(test.path) || (m.Error != "") != (test.wanted == "broken") {
			t.Errorf("%s: %+v, %v", test.wanted, m, err)
		}
	}
	for _, wanted := range []string{"", "x", "x.gguf", "mmproj-a.gguf", at("alias/x.gguf"), at("alias/mmproj-a.gguf"), at("alias/notes.txt"), at("alias/s-00002-of-00002.gguf"), "sub/x.gguf"} {
		_, err := inv.FindModel(t.Context(), wanted)
		var missing *inventory.NotFoundError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), "there are s, a") && !strings.Contains(err.Error(), "there are a, ") {
			t.Errorf("%q: %v", wanted, err)
		}
	}
	for _, wanted := range []string{
		"/etc/passwd", at("private/e.gguf"), at("modelsx/d.gguf"), at("private/absent.gguf"), at("alias/out/e.gguf"), "out/e.gguf",
		"../private/e.gguf", at("alias/../private/e.gguf"), at("models"), at("alias"), "./",
	} {
		_, err := inv.FindModel(t.Context(), wanted)
		var outside *inventory.OutsideError
		if !errors.As(err, &outside) || outside.Path != wanted {
			t.Errorf("%q: %v", wanted, err)
		}
	}
}

func TestFindModelWithoutFolders(t *testing.T) {
	inv := open(t, inventory.Config{})
	for _, wanted := range []string{"a", "/etc/passwd"} {
		if _, err := inv.FindModel(t.Context(), wanted); err == nil || !strings.HasSuffix(err.Error(), "there are no model folders") {
			t.Error(err)
		}
	}
}

// hanging is a log that holds up whoever writes the line with these words.
type hanging struct {
	words string
	until chan struct{}
}

func (h hanging) Write(line []byte) (int, error) {
	if strings.Contains(string(line), h.words) {
		<-h.until
	}
	return len(line), nil
}

// While a look hangs, no other path in the folders is touched.
func TestFindModelWhileALookHangs(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "a.gguf"), llama(t, nil))
	log := hanging{words: "times=10", until: make(chan struct{})}
	inv := open(t, inventory.Config{
		ModelDirs: []string{dir, write(t, filepath.Join(t.TempDir(), "file"), nil)}, // the second fails each time
		Log:       slog.New(slog.NewTextHandler(log, nil)), Limit: time.Minute,
	})
	defer close(log.until)
	for range 9 {
		inv.Look(t.Context())
	}
	now, cancel := context.WithCancel(t.Context())
	cancel()
	if m := inv.Look(now); len(m.Models) != 1 || m.ModelsAt.IsZero() || !strings.Contains(strings.Join(m.Problems, ""), "model folders") {
		t.Errorf("%+v", m)
	}
	for _, wanted := range []string{"a", path, "./a.gguf"} {
		if m, err := inv.FindModel(now, wanted); err != nil || m.Path != path {
			t.Errorf("%s: %+v, %v", wanted, m, err)
		}
	}
	later := write(t, filepath.Join(dir, "later.gguf"), llama(t, nil))
	var missing *inventory.NotFoundError
	if _, err := inv.FindModel(now, later); !errors.As(err, &missing) || !missing.Late {
		t.Errorf("%s: %v", later, err)
	}
}

func TestNotFoundError(t *testing.T) {
	err := &inventory.NotFoundError{Wanted: "x", Dirs: []string{"/m"}}
	for i := range 25 {
		err.Known = append(err.Known, fmt.Sprint("m", i))
	}
	if text := err.Error(); !strings.HasSuffix(text, "m8, m9 and 15 more") || !strings.Contains(text, "/m") {
		t.Error(text)
	}
	err.Late = true
	if text := err.Error(); !strings.Contains(text, "so far; the look has not ended yet") {
		t.Error(text)
	}
}
