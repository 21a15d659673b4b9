package guard_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// adopter is a launcher that takes over what another kept, and waits for its end.
func adopter(dir string) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(dir, "door")})
	if err != nil {
		panic(err)
	}
	_, legacy, err := guard.Adopt(context.Background(), conn)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("adopted")
	<-legacy.Children[0].Gone()
	fmt.Println(legacy.Children[0].Exit())
	os.Exit(0)
}

// startAdopter returns what it prints, once it has adopted the child.
func startAdopter(t *testing.T, dir string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	for {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), adopterEnv+"="+dir)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out := bufio.NewReader(pipe)
		switch said := line(t, out); {
		case said == "adopted":
			return cmd, out
		case strings.Contains(said, guard.ErrBusy.Error()):
			_ = cmd.Wait() // the guard has not noticed yet that its program is gone
		default:
			t.Fatal(said)
		}
	}
}

// A launcher that adopted a guard does not inherit from it, and still leaves nothing
// when it is killed.
func TestAdoptedGuardKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a descendant in a session of its own is found on Linux only")
	}
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			pidFile := filepath.Join(t.TempDir(), "pid")
			inOwnSession := fmt.Sprintf(`echo $$ >"%[1]s.new" && mv "%[1]s.new" "%[1]s"; exec sleep 1000`, pidFile)
			dir, child, _, guardPID := killedKeeper(t, `setsid sh -c '`+inOwnSession+`' & exec sleep 1000`, wayEnv+"="+way)
			cmd, out := startAdopter(t, dir)
			grandchild := readPID(t, pidFile)
			if err := syscall.Kill(guardPID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if said := line(t, out); said != guard.ErrGuardDied.Error() {
				t.Errorf("the end of its child: %s", said)
			}
			if alive(child) || alive(grandchild) {
				t.Errorf("of pid %d and %d one is left", child, grandchild)
				_ = syscall.Kill(grandchild, syscall.SIGKILL)
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// readPID waits for a file that a script makes in one step.
func readPID(t *testing.T, path string) int {
	t.Helper()
	for {
		body, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
			continue
		}
		pid, err2 := strconv.Atoi(strings.TrimSpace(string(body)))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		return pid
	}
}
