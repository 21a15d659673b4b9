package program_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/program"
)

// The token in the state folder is shown unless another is named. One that can't be read
// there is none, but one that was named has to be there.
func TestWhichTokenIsShown(t *testing.T) {
	state := t.TempDir()
	t.Setenv("RBEE_STATE_DIR", state)
	usual, named := filepath.Join(state, "token"), filepath.Join(t.TempDir(), "mine")
	want := func(file, token string) {
		t.Helper()
		if shown, err := (program.Trust{}).Shown(file); err != nil || shown.Token != token || shown.TLS != nil {
			t.Errorf("with --token-file %q it is %+v, %v; want %q", file, shown, err, token)
		}
	}
	want("", "")
	if err := os.WriteFile(usual, []byte("usual\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("", "usual")
	_, err := (program.Trust{}).Shown(named)
	if _, code := cli.Describe("x", err); code != cli.CodeUsage || !strings.Contains(err.Error(), "--token-file: open "+named) {
		t.Errorf("a token that is not there: exit code %d, %v", code, err)
	}
	if err := os.WriteFile(named, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(named, "mine")

	for _, unreadable := range []func() error{
		func() error { return os.Chmod(usual, 0) },
		func() error { return os.Remove(usual) },
		func() error { return os.Mkdir(usual, 0o700) }, // root reads every file, but no folder
	} {
		if err := unreadable(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.ReadFile(usual); err != nil {
			want("", "")
		}
	}
	t.Setenv("RBEE_STATE_DIR", "")
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "")
	want("", "")
}
