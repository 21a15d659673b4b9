package pid1_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rbee-launch/rbee-launch/internal/pid1"
)

const (
	programEnv = "PID1_TEST_PROGRAM" // "count", or a script of sh's
	aboveEnv   = "PID1_TEST_ABOVE"   // what Above said, for the script

	// limit bounds what ends as soon as it has happened.
	limit = 30 * time.Second
)

// TestMain is every program of these tests, too.
func TestMain(m *testing.M) {
	program, set := os.LookupEnv(programEnv)
	if !set {
		os.Exit(m.Run())
	}
	if os.Getpid() == 1 {
		must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		must(unix.Mount("proc", "/proc", "proc", 0, ""))
	}
	pid1.Main()
	if program == "count" {
		count()
		return
	}
	must(os.Setenv(aboveEnv, strconv.FormatBool(pid1.Above())))
	must(syscall.Exec("/bin/sh", []string{"sh", "-c", program}, os.Environ()))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
}

// count prints the signals that it gets, until SIGUSR1.
func count() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGCONT, syscall.SIGUSR1)
	fmt.Println("ready")
	for sig := range signals {
		fmt.Println("got", sig)
		if sig == syscall.SIGUSR1 {
			return
		}
	}
}

// container makes a command whose program is PID 1 of a namespace. Where that is not
// allowed the test is skipped, in CI it fails.
func container(t *testing.T, program string) *exec.Cmd {
	t.Helper()
	isolate := func(cmd *exec.Cmd) *exec.Cmd {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
		return cmd
	}
	if err := isolate(exec.CommandContext(t.Context(), "true")).Run(); err != nil && os.Getenv("RBEE_CI") != "1" {
		t.Skipf("PID namespaces are not to be had: %v", err)
	}
	cmd := isolate(exec.CommandContext(t.Context(), "/proc/self/exe"))
	cmd.Env = append(os.Environ(), programEnv+"="+program)
	cmd.Stderr = t.Output()
	return cmd
}

// started is a command of container's that has been started, and what it prints.
type started struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func start(t *testing.T, program string) started {
	t.Helper()
	cmd := container(t, program)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return begin(t, cmd, out)
}

func begin(t *testing.T, cmd *exec.Cmd, out io.Reader) started {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// What hangs fails where it is waited for.
	watchdog := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		watchdog.Stop()
		_ = cmd.Process.Kill() // it has ended, unless the test failed
		_ = cmd.Wait()
	})
	return started{t, cmd, bufio.NewScanner(out)}
}

// says waits for a line.
func (s started) says(want string) {
	s.t.Helper()
	if !s.lines.Scan() || strings.TrimSpace(s.lines.Text()) != want {
		s.t.Fatalf("it says %q, want %q", s.lines.Text(), want)
	}
}

func (s started) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the end of all that has the output open, and of PID 1.
func (s started) ends(code int) {
	s.t.Helper()
	for s.lines.Scan() {
		s.t.Errorf("it says %q besides", s.lines.Text())
	}
	_ = s.cmd.Wait() // what matters is the code
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("exit code %d, want %d", got, code)
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	for script, code := range map[string]int{
		"exit 0": 0, "exit 3": 3, "kill -TERM $$": 143, "kill -KILL $$": 137,
	} {
		start(t, script).ends(code)
	}
}

func TestSignalsArePassedOn(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH,
	} {
		s := start(t, fmt.Sprintf("trap 'exit 41' %d; echo ready; sleep 1000 >/dev/null & wait", sig))
		s.says("ready")
		s.signal(sig)
		s.ends(41)
	}
}

// The program's own orphans, and those of somebody else who entered the container.
func TestStrangersAreReaped(t *testing.T) {
	t.Parallel()
	s := start(t, `
		for i in $(seq 100); do (sh -c : &); done
		until [ "$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null)" = "" ]; do :; done
		echo none`)
	s.says("none")
	s.ends(0)
}

// A guard needs a moment after its launcher was killed.
func TestKilledChild(t *testing.T) {
	t.Parallel()
	s := start(t, `setsid sh -c 'while kill -0 $1; do :; done 2>/dev/null; echo cleaned up' - $$ & kill -KILL $$`)
	s.says("cleaned up")
	s.ends(137)
}

// With PID 1 the kernel ends everything.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := start(t, `setsid setsid sleep 1000 & echo ready; exec sleep 1000`)
	s.says("ready")
	s.signal(syscall.SIGKILL)
	s.ends(-1)
}

func TestAbove(t *testing.T) {
	t.Parallel()
	if pid1.Above() {
		t.Error("outside of a container it is above")
	}
	s := start(t, "echo $"+aboveEnv)
	s.says("true")
	s.ends(0)
}

// What was left to PID 1 on purpose has a session of its own.
func TestAboveOrphan(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, fmt.Sprintf(`
		trap 'exit 5' TERM
		export %s='echo $%s'
		(setsid sh -c 'until grep -q "^PPid:.1$" /proc/$$/status; do :; done; exec %s' &)
		sleep 1000 >/dev/null & wait`, programEnv, aboveEnv, self))
	s.says("false")
	s.signal(syscall.SIGTERM)
	s.ends(5)
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	cmd := container(t, "count")
	keyboard, terminal := openTerminal(t)
	cmd.Stdin, cmd.Stdout = terminal, terminal
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	s := begin(t, cmd, keyboard)
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	s.says("ready")
	press := func(key string) {
		if _, err := keyboard.WriteString(key); err != nil {
			t.Fatal(err)
		}
	}
	press("\x03")
	s.says("got interrupt")
	press("\x1a") // here is nobody else who could have it go on
	s.says("got continued")
	s.signal(syscall.SIGUSR1)
	s.says("got user defined signal 1")
	s.ends(0)
}

// openTerminal makes a pseudo terminal.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() }) // it may be closed by then
	mode, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	mode.Lflag = mode.Lflag&^unix.ECHO | unix.NOFLSH // no key takes away what was printed
	if err := unix.IoctlSetTermios(int(terminal.Fd()), unix.TCSETS, mode); err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal
}
