package guard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/proctest"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

const (
	programEnv = "GUARD_TEST_PROGRAM"
	wayEnv     = "GUARD_TEST_WAY"     // one of ways
	adopterEnv = "GUARD_TEST_ADOPTER" // the folder of a kept child's door
)

func TestMain(m *testing.M) {
	guard.Main()
	if dir := os.Getenv(adopterEnv); dir != "" {
		adopter(dir)
	}
	if dir := os.Getenv(keeperEnv); dir != "" {
		keep(dir)
	}
	if script := os.Getenv(programEnv); script != "" {
		program(script, ways[os.Getenv(wayEnv)])
	}
	os.Exit(m.Run())
}

// program is a launcher that a test kills: it starts script and waits to die.
func program(script string, start func() (*guard.Guard, error)) {
	g, err := start()
	if err != nil {
		panic(err)
	}
	c, err := g.Spawn(context.Background(), shell(script, os.Stdout))
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stderr).Encode(c.Traces()); err != nil {
		panic(err)
	}
	<-c.Gone()
	os.Exit(0)
}

func shell(script string, out *os.File) guard.Command {
	return guard.Command{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: os.Environ(), Stdout: out, Stderr: out}
}

func start(t *testing.T) *guard.Guard {
	t.Helper()
	return startIn(t, "cgroups")
}

func startIn(t *testing.T, way string) *guard.Guard {
	t.Helper()
	g, err := ways[way]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// spawn starts a script whose output, and that of all below it, is one pipe: the
// pipe's end is the proof that nobody is left.
func spawn(t *testing.T, g *guard.Guard, script string) (*guard.Child, *bufio.Reader) {
	t.Helper()
	return spawnCommand(t, g, shell(script, nil))
}

func spawnCommand(t *testing.T, g *guard.Guard, cmd guard.Command) (*guard.Child, *bufio.Reader) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	defer w.Close()
	cmd.Stdout, cmd.Stderr = w, w
	c, err := g.Spawn(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(r)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("read a line: %v (got %q)", err, s)
	}
	return strings.TrimSpace(s)
}

func TestExitIsReported(t *testing.T) {
	g := start(t)
	for script, want := range map[string]struct {
		text string
		code int
	}{
		"exit 3":      {"exit code 3", 3},
		"exit 0":      {"exit code 0", 0},
		"kill -9 $$":  {"killed by signal 9 (killed)", 137},
		"kill -15 $$": {"killed by signal 15 (terminated)", 143},
	} {
		c, _ := spawn(t, g, script)
		<-c.Exited()
		<-c.Gone()
		if got := c.Exit(); got.String() != want.text || got.ShellCode() != want.code {
			t.Errorf("%s: got %q, %d; want %q, %d", script, got, got.ShellCode(), want.text, want.code)
		}
	}
}

// File names, and so arguments and variables, are any bytes but 0.
func TestBytesComeThrough(t *testing.T) {
	const odd = "caf\xe9 <&> caf\u00e9"
	g := start(t)
	c, out := spawnCommand(t, g, guard.Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", `printf '%s|%s\n' "$1" "$ODD"`, "sh", odd},
		Env: []string{"ODD=" + odd},
	})
	if got, want := line(t, out), odd+"|"+odd; got != want {
		t.Errorf("the child got %q, want %q", got, want)
	}
	<-c.Gone()
}

// The guard's own working directory is another.
func TestRelativeDir(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("sub", 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want, err := filepath.EvalSymlinks(filepath.Join(dir, "sub"))
	if err != nil {
		t.Fatal(err)
	}
	g := start(t)
	cmd := shell("pwd -P", nil)
	cmd.Dir = "sub"
	c, out := spawnCommand(t, g, cmd)
	if got := line(t, out); got != want {
		t.Errorf("it runs in %s, want %s", got, want)
	}
	<-c.Gone()
}

func TestSpawnFails(t *testing.T) {
	g := start(t)
	_, err := g.Spawn(t.Context(), guard.Command{Path: "/nowhere/at/all"})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing program: %v", err)
	}
	plain := t.TempDir() + "/plain"
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Spawn(t.Context(), guard.Command{Path: plain}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that is not executable: %v", err)
	}
}

// What would be cut off at a NUL, or become two arguments, is not started.
func TestNULIsRefused(t *testing.T) {
	g := start(t)
	const nul = "a\x00b"
	for name, cmd := range map[string]guard.Command{
		"path": {Path: "/bin/" + nul}, "args": {Path: "/bin/true", Args: []string{"true", nul}},
		"env": {Path: "/bin/true", Env: []string{nul}}, "dir": {Path: "/bin/true", Dir: "/" + nul},
	} {
		if _, err := g.Spawn(t.Context(), cmd); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v, want EINVAL", name, err)
		}
	}
}

func TestKillEmptiesTheTree(t *testing.T) {
	forEachFamily(t, func(t *testing.T, script, way string) {
		g := startIn(t, way)
		c, out := spawn(t, g, script)
		line(t, out)
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		<-c.Gone()
		if _, err := io.Copy(io.Discard, out); err != nil { // ends when the last holder of the pipe does
			t.Fatal(err)
		}
	})
}

func TestKillSparesTheOtherChildren(t *testing.T) {
	forEachFamily(t, func(t *testing.T, script, way string) {
		g := startIn(t, way)
		other, otherOut := spawn(t, g, `setsid sleep 1000 & echo up; read line || sleep 1000`)
		line(t, otherOut)
		c, out := spawn(t, g, script)
		line(t, out)
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		<-c.Gone()
		if _, err := io.Copy(io.Discard, out); err != nil {
			t.Fatal(err)
		}
		select {
		case <-other.Exited():
			t.Error("the other child was ended too:", other.Exit())
		default:
		}
	})
}

func TestProgramKilled(t *testing.T) {
	forEachFamily(t, func(t *testing.T, script, way string) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), programEnv+"="+script, wayEnv+"="+way)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out := bufio.NewReader(pipe)
		line(t, out)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, out); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed, as it should be
	})
}

func TestGuardKilled(t *testing.T) {
	forEachFamily(t, func(t *testing.T, script, way string) {
		skipUntraceable(t, script, way)
		g := startIn(t, way)
		c, out := spawn(t, g, script)
		line(t, out)
		if err := syscall.Kill(g.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-c.Gone()
		if _, err := io.Copy(io.Discard, out); err != nil {
			t.Fatal(err)
		}
		if _, err := g.Spawn(t.Context(), shell("true", nil)); !errors.Is(err, guard.ErrGuardDied) {
			t.Errorf("a spawn after the guard's death: %v", err)
		}
	})
}

// More reports than the socket holds must not keep the guard from taking requests,
// nor those keep us from taking reports.
func TestManyExitsWhileManyStart(t *testing.T) {
	g := start(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wait := shell("read line", nil)
	wait.Stdin = r
	var children []*guard.Child
	for range 600 {
		c, err := g.Spawn(t.Context(), wait)
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, c)
	}
	big := guard.Command{Path: "/bin/true", Env: []string{"BIG=" + strings.Repeat("x", 100<<10)}}
	var starting sync.WaitGroup
	for i := range 64 {
		starting.Go(func() {
			if i == 8 {
				_ = w.Close()
			}
			c, err := g.Spawn(t.Context(), big)
			if err != nil {
				t.Error(err)
				return
			}
			<-c.Gone()
		})
	}
	starting.Wait()
	for _, c := range children {
		<-c.Gone()
	}
}

func TestStopReachesAStoppedChild(t *testing.T) {
	g := start(t)
	c, out := spawn(t, g, `trap "exit 7" TERM; echo up; kill -STOP $$; sleep 1000`)
	line(t, out)
	if err := c.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-c.Exited()
	<-c.Gone()
	if got := c.Exit().Code; got != 7 {
		t.Errorf("exit code %d, want that of its own handler, 7", got)
	}
}

// A guard that was stopped goes on when somebody is to end.
func TestAStoppedGuardWakes(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*guard.Guard, *guard.Child) error{
		"signal": func(_ *guard.Guard, c *guard.Child) error { return c.Signal(syscall.SIGTERM) },
		"kill":   func(_ *guard.Guard, c *guard.Child) error { return c.Kill() },
		"close":  func(g *guard.Guard, _ *guard.Child) error { return g.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t)
			c, out := spawn(t, g, `echo up; exec sleep 1000`)
			line(t, out)
			if err := proctest.Signal(g.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if err := end(g, c); err != nil {
				t.Error(err)
			}
			<-c.Gone()
		})
	}
}

// A guard that can't act must not keep its program from ending, nor leave a child behind.
func TestCloseEndsAStoppedGuard(t *testing.T) {
	t.Parallel()
	g := start(t)
	c, out := spawn(t, g, "echo up; (setsid sleep 1000 &); exec sleep 1000")
	line(t, out)
	if err := proctest.Signal(g.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	<-c.Gone()
	if rest, err := io.ReadAll(out); err != nil { // its end: nobody has it any more
		t.Errorf("%q, %v", rest, err)
	}
}

// A child must find its signals as a login shell would give them, not as the
// guard keeps them.
func TestChildIgnoresNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	g := start(t)
	_, out := spawn(t, g, `grep -E "^Sig(Ign|Blk)" /proc/self/status`)
	for range 2 {
		if got := line(t, out); !strings.HasSuffix(got, "0000000000000000") {
			t.Error(got)
		}
	}
}

func BenchmarkSpawn(b *testing.B) {
	g, err := guard.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	for b.Loop() {
		c, err := g.Spawn(b.Context(), guard.Command{Path: "/bin/true"})
		if err != nil {
			b.Fatal(err)
		}
		<-c.Gone()
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		g, err := guard.Start()
		if err != nil {
			b.Fatal(err)
		}
		c, err := g.Spawn(b.Context(), guard.Command{Path: "/bin/true"})
		if err != nil {
			b.Fatal(err)
		}
		<-c.Gone()
		_ = g.Close()
	}
}

func BenchmarkBare(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}
