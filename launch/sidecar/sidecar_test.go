package sidecar_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
)

// patience is no measure of anything: it only ends a test that waits in vain.
const patience = 30 * time.Second

// Scripts of children.
const (
	serves = `echo up; exec sleep 1000`
	fails  = `echo no such luck; exit 3`
	loads  = `exec sleep 1000`
)

// newJob is a job whose launch ends with the test at the latest.
func newJob(t *testing.T, script string) job {
	j := job{ID: "one", Dir: t.TempDir(), Script: script}
	t.Cleanup(func() { // of a test that failed: else there is nothing
		_ = launch.Stop(context.WithoutCancel(t.Context()), j.runtimeDir(), j.ID, launch.StopOptions{}, nil)
	})
	return j
}

// begin starts a keeper, and stops it at the test's end.
func begin(t *testing.T, c sidecar.Command) *sidecar.Process {
	t.Helper()
	p, err := sidecar.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Leave()
		p.Stop()
		ended(t, p)
	})
	return p
}

func ended(t *testing.T, p *sidecar.Process) {
	t.Helper()
	select {
	case <-p.Exited():
	case <-time.After(patience):
		t.Fatalf("the sidecar, pid %d, does not end", p.PID())
	}
	if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("pid %d is still there: %v", p.PID(), err)
	}
}

// await takes messages until an event of this kind comes.
func await(t *testing.T, p *sidecar.Process, kind launch.EventType) launch.Event {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case m, more := <-p.Messages():
			switch {
			case !more || m.End != nil:
				t.Fatalf("waiting for %q: it ended: %+v", kind, m.End)
			case m.Event != nil && m.Event.Event == kind:
				return *m.Event
			}
		case <-limit:
			t.Fatalf("waiting for %q: not within %s", kind, patience)
		}
	}
}

// end takes the rest of the messages, of which the last is to say how it ended.
func end(t *testing.T, p *sidecar.Process) sidecar.Ended {
	t.Helper()
	limit := time.After(patience)
	var last sidecar.Message
	for {
		select {
		case m, more := <-p.Messages():
			switch {
			case more:
				last = m
			case last.End == nil:
				t.Fatalf("its last message is %+v", last)
			default:
				return *last.End
			}
		case <-limit:
			t.Fatalf("its messages do not end within %s", patience)
		}
	}
}

// until waits until the one launch of a job is as it is to be.
func until(t *testing.T, j job, what string, is func(launch.Launch) bool) launch.Launch {
	t.Helper()
	var all []launch.Launch
	var err error
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		all, err = launch.List(j.runtimeDir())
		if err == nil && len(all) == 1 && is(all[0]) {
			return all[0]
		}
	}
	t.Fatalf("it does not become %s: %+v, %v", what, all, err)
	return launch.Launch{}
}

// only waits until the one launch of a job has a status.
func only(t *testing.T, j job, status launch.Status) launch.Launch {
	t.Helper()
	return until(t, j, string(status), func(l launch.Launch) bool { return l.Status == status })
}

// kill ends a child, and waits until it is back.
func kill(t *testing.T, j job, pid int) launch.Launch {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	return until(t, j, "ready again", func(l launch.Launch) bool { return l.Status == launch.IsReady && l.PID != pid })
}

// stop stops a job's launch as anybody would.
func stop(t *testing.T, j job) {
	t.Helper()
	if err := launch.Stop(t.Context(), j.runtimeDir(), j.ID, launch.StopOptions{}, nil); err != nil {
		t.Fatal(err)
	}
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLeave: a sidecar goes on without whoever started it, and is reaped all the same.
func TestLeave(t *testing.T) {
	t.Parallel()
	j := newJob(t, serves)
	p := begin(t, sidecar.Command{Argv: j.argv(keeperName)})
	ready := await(t, p, launch.Ready)
	if group, err := syscall.Getpgid(p.PID()); err != nil || group != p.PID() {
		t.Errorf("it is in the group %d, %v, and gets its signals", group, err)
	}
	p.Leave()
	if _, more := <-p.Messages(); more {
		t.Error("it is still listened to")
	}
	if l := kill(t, j, ready.PID); l.Restarts != 1 || l.SupervisorPID != p.PID() || !l.Detached {
		t.Errorf("its child was killed, and it is listed as %+v", l)
	}
	stop(t, j)
	ended(t, p)
	if text, err := os.ReadFile(filepath.Join(j.Dir, "logs", "one.launcher.log")); err == nil && strings.Contains(string(text), "ended") {
		t.Errorf("a stop is logged as a failure: %s", text)
	}
}

// TestNothingLeft: sidecars that were left cost nothing once they have ended. Not beside
// other tests, since it counts what this process has open.
func TestNothingLeft(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("what is open is read in /proc")
	}
	open := func() int {
		t.Helper()
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	before := 0
	for round := range 4 {
		p := begin(t, sidecar.Command{Argv: newJob(t, fails).argv(keeperName)})
		p.Leave()
		ended(t, p)
		if round == 0 {
			before = open() // the first one opens what the runtime keeps
		}
	}
	if now := open(); now > before {
		t.Errorf("%d files are open, %d were", now, before)
	}
}

// TestEnd: a launch that comes to nothing says why, and leaves its words in a log.
func TestEnd(t *testing.T) {
	t.Parallel()
	j := newJob(t, fails)
	p := begin(t, sidecar.Command{Argv: j.argv(keeperName)})
	if e := await(t, p, launch.Failed); len(e.LastLines) != 1 {
		t.Errorf("it failed with %+v", e)
	}
	got := end(t, p)
	if got.Code != 3 || !strings.Contains(got.Text, "exit code 3") || !strings.HasSuffix(got.Text, "\n  no such luck\n") {
		t.Errorf("it ended with %+v", got)
	}
	ended(t, p)
	text, err := os.ReadFile(filepath.Join(j.Dir, "logs", "one.launcher.log"))
	if err != nil || !strings.Contains(string(text), "the launch has ended") {
		t.Errorf("its own log: %s, %v", text, err)
	}
}

// TestStop: a start that is no longer wanted is a clean end.
func TestStop(t *testing.T) {
	t.Parallel()
	p := begin(t, sidecar.Command{Argv: newJob(t, loads).argv(keeperName)})
	await(t, p, launch.Spawned)
	p.Stop()
	if got := end(t, p); got != (sidecar.Ended{}) {
		t.Errorf("it ended with %+v", got)
	}
	ended(t, p)
	p.Stop() // of what has ended
}

// TestUnread: who reads nothing holds up nothing.
func TestUnread(t *testing.T) {
	t.Parallel()
	j := newJob(t, serves)
	j.Chatty = true
	p := begin(t, sidecar.Command{Argv: j.argv(keeperName)})
	only(t, j, launch.IsReady)
	p.Stop() // a launcher that hangs would be killed by launch.Stop
	ended(t, p)
}

// TestStarterKilled: the end of whoever started it, and is still told all, changes
// nothing.
func TestStarterKilled(t *testing.T) {
	t.Parallel()
	j := newJob(t, serves)
	cmd := &exec.Cmd{Path: executable(t), Args: j.argv(starterName), Stderr: t.Output()}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the starter says %q: %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()                             // it was killed
	kill(t, j, only(t, j, launch.IsReady).PID) // which is news
	stop(t, j)
}

// TestAdopt: what a killed sidecar has left says itself how another goes on with it.
func TestAdopt(t *testing.T) {
	t.Parallel()
	j := newJob(t, serves)
	p := begin(t, sidecar.Command{Argv: j.argv(keeperName)})
	ready := await(t, p, launch.Ready)
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended(t, p)
	only(t, j, launch.IsOrphaned)
	orphans, err := launch.Orphans(j.runtimeDir())
	if err != nil || len(orphans) != 1 {
		t.Fatal(orphans, err)
	}
	said, err := sidecar.ReadResume(orphans[0].Resume)
	if err != nil || said.Program != keeperName {
		t.Fatalf("it is resumed as %+v, %v", said, err)
	}
	p = begin(t, said.Command(executable(t), orphans[0].ID))
	if e := await(t, p, launch.Adopted); e.PID != ready.PID || e.InstanceID != ready.InstanceID {
		t.Errorf("adopted: %+v, which was %+v", e, ready)
	}
	await(t, p, launch.Ready)
}

// TestUpgrade: a sidecar goes on as another file of the program in the same process,
// which is still a child of whoever started it.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	j := newJob(t, serves)
	p := begin(t, sidecar.Command{Argv: j.argv(keeperName)})
	ready := await(t, p, launch.Ready)
	r, err := launch.Open(j.runtimeDir(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Upgrade(t.Context(), executable(t)); err != nil {
		t.Fatal(err)
	}
	for m := range p.Messages() {
		if m.End != nil {
			t.Fatalf("it ended: %+v", m.End)
		}
	}
	var now launch.Inspection
	for limit := time.Now().Add(patience); time.Now().Before(limit) && (len(now.Events) == 0 || now.Events[0].Event != launch.Adopted); {
		if now, err = r.Inspect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if now.PID != ready.PID || now.InstanceID != ready.InstanceID || now.SupervisorPID != p.PID() || now.NotUpgraded != "" {
		t.Errorf("it goes on as %+v, and was %+v", now, ready)
	}
	p.Stop()
	ended(t, p)
}

// TestResume: what earlier versions wrote, and what others did.
func TestResume(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ kept, program string }{
		{`{"args":["worker"],"env":["A=b"],"dir":"/"}`, sidecar.DefaultProgram},
		{`{"args":["keep"],"program":"rbee-hive"}`, "rbee-hive"},
		{``, ""},
		{`{"any":"thing"}`, ""},
		{`["worker"]`, ""},
	} {
		said, err := sidecar.ReadResume(json.RawMessage(test.kept))
		if (err == nil) != (test.program != "") || (err == nil && said.Program != test.program) {
			t.Errorf("%s: %+v, %v", test.kept, said, err)
		}
	}
}

// TestNotStarted: a sidecar's command that somebody types is refused, before it closes
// anybody's files.
func TestNotStarted(t *testing.T) {
	t.Parallel()
	if err := sidecar.Run(t.Context(), sidecar.Options{}); err == nil || !strings.Contains(err.Error(), "was not started as one") {
		t.Errorf("it ran: %v", err)
	}
	if _, err := sidecar.Start(sidecar.Command{}); err == nil {
		t.Error("nothing was started")
	}
	if _, err := sidecar.Start(sidecar.Command{Path: filepath.Join(t.TempDir(), "gone"), Argv: []string{"gone"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is not there was started: %v", err)
	}
}
