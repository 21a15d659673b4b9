package cli_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

func TestRuntimeDir(t *testing.T) {
	own, xdg, tmp := t.TempDir(), t.TempDir(), t.TempDir()
	for _, test := range []struct {
		name      string
		own, xdg  string
		wantedDir string
	}{
		{"the variable", filepath.Join(own, "deep", "run"), xdg, filepath.Join(own, "deep", "run")},
		{"the session's", "", xdg, filepath.Join(xdg, "rbee")},
		{"the temporary one", "", "", filepath.Join(tmp, "rbee-"+strconv.Itoa(os.Getuid()))},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("RBEE_RUNTIME_DIR", test.own)
			t.Setenv("XDG_RUNTIME_DIR", test.xdg)
			t.Setenv("TMPDIR", tmp)
			dir, err := cli.RuntimeDir()
			if err != nil {
				t.Fatal(err)
			}
			if dir != test.wantedDir {
				t.Errorf("%s, not %s", dir, test.wantedDir)
			}
			info, err := os.Stat(dir)
			if err != nil {
				t.Fatal(err)
			}
			if mode := info.Mode().Perm(); mode != 0o700 {
				t.Errorf("mode %o: others may look", mode)
			}
		})
	}
}

// The folder under the temporary one has a name that anybody can guess.
func TestRuntimeDirRefusesAStrangers(t *testing.T) {
	mine := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(mine, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RBEE_RUNTIME_DIR", link)
	if dir, err := cli.RuntimeDir(); err == nil {
		t.Errorf("a link was taken: %s", dir)
	}
	if os.Getuid() == 0 {
		theirs := t.TempDir()
		if err := os.Chown(theirs, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		t.Setenv("RBEE_RUNTIME_DIR", theirs)
		if dir, err := cli.RuntimeDir(); err == nil {
			t.Errorf("another user's folder was taken: %s", dir)
		}
	}
}

func TestStateDir(t *testing.T) {
	for _, test := range []struct {
		name           string
		own, xdg, home string
		want           string // "" for an error
	}{
		{"the variable", "/own", "/xdg", "/home/me", "/own"},
		{"the user's", "", "/xdg", "/home/me", "/xdg/rbee"},
		{"the usual", "", "", "/home/me", "/home/me/.local/state/rbee"},
		{"none", "", "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("RBEE_STATE_DIR", test.own)
			t.Setenv("XDG_STATE_HOME", test.xdg)
			t.Setenv("HOME", test.home)
			dir, err := cli.StateDir()
			if dir != test.want || (err != nil) != (test.want == "") {
				t.Errorf("%q, %v; wanted is %q", dir, err, test.want)
			}
		})
	}
}
