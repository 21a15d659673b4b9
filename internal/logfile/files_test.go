package logfile_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/logfile"
)

// touch makes a folder with empty files in it.
func touch(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// neighbours are the logs of ids that begin with one another's.
func neighbours(t *testing.T) string {
	t.Helper()
	return touch(
		t, "web.log", "web.launcher.log", "web.launcher-2026-11-23T15-04-05.000-size.log", "web-2026-11-23T15-04-05.001-size.log", "web-2026-11-23T15-04-05.000-size_10.log",
		"web-2026-11-23T15-04-05.000-size_2.log", "web-2026-11-23T15-04-05.000-size.log", "web-2025-12-31T23-59-59.999-time.log",
		"web-2.log", "web-2-2026-11-23T15-04-05.000-size.log", "web-2026.log", "web-size.log", "web-.log",
		"worker@box%2F2.log", "worker@box%2F2-2026-11-23T15-04-05.000-size.log", "notes.txt",
	)
}

func TestRotatedFiles(t *testing.T) {
	t.Parallel()
	dir := neighbours(t)
	for name, want := range map[string][]string{
		"web.log": {
			"web-2025-12-31T23-59-59.999-time.log", "web-2026-11-23T15-04-05.000-size.log",
			"web-2026-11-23T15-04-05.000-size_2.log", "web-2026-11-23T15-04-05.000-size_10.log", "web-2026-11-23T15-04-05.001-size.log",
		},
		"web-2.log":          {"web-2-2026-11-23T15-04-05.000-size.log"},
		"web-2026.log":       {},
		"worker@box%2F2.log": {"worker@box%2F2-2026-11-23T15-04-05.000-size.log"},
		"missing.log":        {},
	} {
		got, err := logfile.RotatedFiles(filepath.Join(dir, name))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; not %q", name, got, err, want)
		}
	}
	if got, err := logfile.RotatedFiles(filepath.Join(dir, "no", "folder.log")); err != nil || len(got) > 0 {
		t.Errorf("without a folder: %q, %v", got, err)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	got, err := logfile.IDs(neighbours(t))
	want := []string{"web", "web-", "web-2", "web-2026", "web-size", "worker@box/2"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; not %q", got, err, want)
	}
	if got, err := logfile.IDs(filepath.Join(t.TempDir(), "none")); err != nil || len(got) > 0 {
		t.Errorf("without a folder: %q, %v", got, err)
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	if got := logfile.Path("logs", "worker@box/2"); got != filepath.Join("logs", "worker@box%2F2.log") {
		t.Error(got)
	}
	if got := logfile.LauncherPath("logs", "worker@box/2"); got != filepath.Join("logs", "worker@box%2F2.launcher.log") {
		t.Error(got)
	}
}
