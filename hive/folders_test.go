package hive_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rbee-launch/rbee-launch/hive"
)

// heard is a log that others may read.
type heard struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write is io.Writer's.
func (h *heard) Write(text []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(text)
}

func (h *heard) has(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(h.text.String(), text)
}

// TestWrongFolders: what is wrong with a folder of models is told at the start, unasked.
func TestWrongFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "model.gguf")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log heard
	b := newBox(t, func(c *hive.Config) {
		c.ModelDirs = []string{filepath.Join(dir, "none"), file}
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	for _, want := range []string{
		"look for models in " + dir + "/none: the folder does not exist", "look for models in " + file + ": ",
	} {
		b.eventually(want, func() bool { return log.has(want) })
	}
	_, _, text := b.ask("GET", "/capabilities", "")
	if !strings.Contains(text, `"exists":false`) || !strings.Contains(text, "not a directory") {
		t.Errorf("the capabilities are %s", text)
	}
	// Nobody has asked for the usual one.
	var quiet heard
	usual := newBox(t, func(c *hive.Config) {
		c.UsualModelDirs = true
		c.Log = slog.New(slog.NewTextHandler(&quiet, nil))
	})
	usual.ask("GET", "/capabilities", "")
	if quiet.has("look for models") {
		t.Error("a usual folder that does not exist is told of")
	}
}
