package guard_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/lockfile"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// keeperEnv is the folder of a program that keeps a child, for a test to kill.
const keeperEnv = "GUARD_TEST_KEEPER"

// counting prints numbers as fast as a shell can, so that a line is lost at once where
// one can be lost.
const counting = `i=0; while :; do i=$((i+1)); echo line $i; done`

// keep is a launcher that a test kills: it starts a script that is to be kept.
func keep(dir string) {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	g, err := ways[cmp.Or(os.Getenv(wayEnv), "cgroups")]()
	check(err)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "door")})
	check(err)
	check(g.Listen(ln))
	lock, err := lockfile.Try(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	check(err)
	check(g.Entrust("lock", lock.File(), filepath.Join(dir, "lock"), filepath.Join(dir, "door")))
	cmd := shell(os.Getenv(programEnv), nil)
	cmd.Keep = os.Getenv("GUARD_TEST_KEEP") != "no"
	cmd.Output = &guard.Output{Log: guard.LogFile{Path: filepath.Join(dir, "log")}}
	c, err := g.Spawn(context.Background(), cmd)
	check(err)
	fleeting, err := g.Spawn(context.Background(), shell("exec sleep 1000", nil))
	check(err)
	if os.Getenv("GUARD_TEST_KEEP") == "leave" {
		check(c.Leave())
	}
	fmt.Println(c.PID(), fleeting.PID(), g.PID())
	select {}
}

// killedKeeper starts a program that keeps the script, kills it, and says which
// processes there were.
func killedKeeper(t *testing.T, script string, env ...string) (dir string, child, fleeting, guardPID int) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, keeperEnv+"="+dir, programEnv+"="+script)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscan(out, &child, &fleeting, &guardPID); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	return dir, child, fleeting, guardPID
}

func adopt(t *testing.T, dir string) (*guard.Guard, guard.Legacy) {
	t.Helper()
	for {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(dir, "door")})
		if err != nil {
			t.Fatal(err)
		}
		g, legacy, err := guard.Adopt(t.Context(), conn)
		if errors.Is(err, guard.ErrBusy) {
			continue // the guard has not noticed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		return g, legacy
	}
}

func waitGone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		for ; alive(pid); time.Sleep(5 * time.Millisecond) {
			if t.Context().Err() != nil {
				t.Fatalf("pid %d lives", pid)
			}
		}
	}
}

// alive takes a zombie for dead: who reaps orphans here may take its time.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !errors.Is(err, os.ErrNotExist)
	}
	return !regexp.MustCompile(`\) [ZX] `).Match(stat)
}

func TestKeptChildIsAdopted(t *testing.T) {
	dir, pid, fleeting, _ := killedKeeper(t, counting)
	g, legacy := adopt(t, dir)
	defer g.Close()
	waitGone(t, fleeting) // it was not to be kept
	if len(legacy.Children) != 1 || legacy.Children[0].PID() != pid {
		t.Fatalf("there are %v, not pid %d", legacy.Children, pid)
	}
	c := legacy.Children[0]
	if _, err := lockfile.Try(filepath.Join(dir, "lock"), os.O_RDWR, 0); !errors.Is(err, lockfile.ErrLocked) {
		t.Errorf("the lock that was entrusted: %v", err)
	}
	lock := lockfile.Inherited(legacy.Files["lock"])
	live := make(chan string, 1)
	tail, err := c.Follow(t.Context(), guard.Output{OnLine: func(l guard.Line) {
		select {
		case live <- l.Text:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(tail) == 0 {
		t.Error("the last lines are lost")
	}
	if text := <-live; !strings.HasPrefix(text, "line ") {
		t.Errorf("a line is %q", text)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.Exited()
	if got := c.Exit().Signal; got != syscall.SIGKILL {
		t.Errorf("it ended by %v", got)
	}
	<-c.Gone()
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
	holdLog(t, filepath.Join(dir, "log"))
}

// holdLog fails when a line is missing from the logs, the rotated ones included.
func holdLog(t *testing.T, path string) {
	t.Helper()
	files, err := filepath.Glob(strings.TrimSuffix(path, filepath.Ext(path)) + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := -1
	for _, found := range regexp.MustCompile(`(?m)^\S+ stdout line (\d+)$`).FindAllSubmatch(body, -1) {
		n, err := strconv.Atoi(string(found[1]))
		if err != nil {
			t.Fatal(err)
		}
		if want >= 0 && n != want {
			t.Fatalf("line %d follows line %d", n, want-1)
		}
		want = n + 1
	}
	if want < 0 {
		t.Fatalf("the log holds no line:\n%s", body)
	}
}

// A guard that has a program is nobody else's.
func TestAdoptIsRefused(t *testing.T) {
	dir, _, _, _ := killedKeeper(t, "exec sleep 1000")
	g, _ := adopt(t, dir)
	defer g.Close()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(dir, "door")})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := guard.Adopt(t.Context(), conn); !errors.Is(err, guard.ErrBusy) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("a second program gets %v", err)
	}
}

// With its last child gone, a guard without a program ends, and removes what was
// entrusted to it.
func TestOrphanEnds(t *testing.T) {
	dir, child, _, guardPID := killedKeeper(t, "echo here; (setsid sleep 1000 &) ; exec sleep 1000")
	for body := ""; !strings.Contains(body, "goes on without it"); time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(dir, "log"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		body = string(text)
	}
	if err := syscall.Kill(child, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitGone(t, child, guardPID)
	for _, name := range []string{"lock", "door"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
	body, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), " stdout here\n") || !strings.Contains(string(body), "with no launcher to see it: killed by signal 15") {
		t.Errorf("the log says:\n%s", body)
	}
}

// A child that is not kept ends with its program, and what was entrusted goes.
func TestMortalEnds(t *testing.T) {
	dir, child, fleeting, guardPID := killedKeeper(t, "exec sleep 1000", "GUARD_TEST_KEEP=no")
	waitGone(t, child, fleeting, guardPID)
	if left, err := filepath.Glob(filepath.Join(dir, "[ld]o*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A program that says that another comes leaves a child that would end with it.
func TestLeave(t *testing.T) {
	dir, child, _, _ := killedKeeper(t, "exec sleep 1000", "GUARD_TEST_KEEP=leave")
	g, legacy := adopt(t, dir)
	if len(legacy.Children) != 1 || legacy.Children[0].PID() != child {
		t.Fatalf("there are %v, not pid %d", legacy.Children, child)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	waitGone(t, child)
}
