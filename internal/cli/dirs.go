package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// RuntimeDir is where sockets and records of what runs are kept, made with mode
// 0700: $RBEE_RUNTIME_DIR, else $XDG_RUNTIME_DIR/rbee, else a folder of the user's
// under the temporary one.
func RuntimeDir() (string, error) {
	dir := RuntimePath()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", WithHint(fmt.Errorf("make the runtime folder: %w", err), "RBEE_RUNTIME_DIR names another one")
	}
	// Its name can be guessed, so somebody else may have made it first.
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("look at the runtime folder: %w", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || (ok && int(owner.Uid) != os.Getuid()) {
		return "", WithHint(fmt.Errorf("the runtime folder %s is not a folder of yours", dir), "RBEE_RUNTIME_DIR names another one")
	}
	return dir, nil
}

// RuntimePath is RuntimeDir's path, where nothing need be.
func RuntimePath() string {
	if dir := os.Getenv("RBEE_RUNTIME_DIR"); dir != "" {
		return dir
	}
	if xdg := os.Getenv("XDG_RUNTIME_DIR"); xdg != "" {
		return filepath.Join(xdg, "rbee")
	}
	return filepath.Join(os.TempDir(), "rbee-"+strconv.Itoa(os.Getuid()))
}

// StateDir is where logs, history and tokens are kept: $RBEE_STATE_DIR, else
// $XDG_STATE_HOME/rbee, else ~/.local/state/rbee. It may not exist yet.
func StateDir() (string, error) {
	if dir := os.Getenv("RBEE_STATE_DIR"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "rbee"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", WithHint(fmt.Errorf("find the state folder: %w", err), "set HOME, or RBEE_STATE_DIR")
	}
	return filepath.Join(home, ".local", "state", "rbee"), nil
}
