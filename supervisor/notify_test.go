package supervisor_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

const sayEnv = "SUPERVISOR_TEST_SAY"

// say sends messages as systemd-notify does: at the end it waits until all of them have
// been dealt with, so that its process can be looked at meanwhile.
func say(socket string, messages ...string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, m := range messages {
		if _, err := conn.Write([]byte(m)); err != nil {
			return err
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	sendErr := raw.Control(func(fd uintptr) { // net has nothing for a connected socket
		err = syscall.Sendmsg(int(fd), []byte("BARRIER=1"), syscall.UnixRights(int(w.Fd())), nil, 0)
	})
	if err := errors.Join(sendErr, err, w.Close(), r.SetReadDeadline(time.Now().Add(time.Minute))); err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("wait for the end of the barrier: %w", err)
	}
	return nil
}

// sayer is a process that says things, once or again and again.
func sayer(how string) {
	for ; ; time.Sleep(100 * time.Millisecond) {
		if err := say(os.Getenv("NOTIFY_SOCKET"), os.Args[1:]...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if how != "again" {
			os.Exit(0)
		}
	}
}

// notifier is a script that can say things, ready when it has said READY=1.
func notifier(t *testing.T, text string) (spec supervisor.Spec, dir, name string) {
	t.Helper()
	dir = t.TempDir()
	name = fmt.Sprintf("rbee-test/%d/%s", os.Getpid(), filepath.Base(filepath.Dir(dir))+t.Name())
	spec = script(`say() { ` + sayEnv + `=1 "$0" "$@" || exit 9; }; ` + text)
	spec.Argv = append(spec.Argv, os.Args[0])
	spec.Dir, spec.Ready = dir, []supervisor.Probe{supervisor.Notify(name)}
	return spec, dir, name
}

func touch(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNotify(t *testing.T) {
	spec, dir, _ := notifier(t, `
		say "STATUS=half way
READY=0"
		until [ -e go ]; do sleep 0.01; done
		say READY=1
		exec sleep 1000`)
	r := start(t, supervisor.Config{}, spec)
	for seen := (supervisor.Vitals{}); seen.Status != "half way"; {
		seen = r.want(supervisor.Progress).Seen
		if !strings.Contains(seen.Waiting, "READY=1 at its NOTIFY_SOCKET: not yet") {
			t.Fatalf("it waits for %q", seen.Waiting)
		}
	}
	touch(t, dir, "go")
	r.want(supervisor.Ready)
}

// What comes from a process that is not of the child's tree counts for nothing.
func TestNotifyStranger(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("who sent a message can be told on Linux alone")
	}
	spec, dir, name := notifier(t, `until [ -e go ]; do sleep 0.01; done; say READY=1; exec sleep 1000`)
	r := start(t, supervisor.Config{}, spec)
	r.want(supervisor.Spawned)
	if err := say("@"+name, "READY=1", "STATUS=I am another"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first look may have been before
		if e := <-r.events; e.Type != supervisor.Progress || e.Seen.Status != "" {
			t.Fatalf("after a stranger's READY=1 it is %s, with the status %q", e.Type, e.Seen.Status)
		}
	}
	touch(t, dir, "go")
	r.want(supervisor.Ready)
}

// Each life has to say for itself that it is ready, and one that ends is not waited for.
func TestNotifyEachLife(t *testing.T) {
	spec, dir, _ := notifier(t, `say READY=1; until [ -e end ]; do sleep 0.01; done; exit 1`)
	silent, _, _ := notifier(t, `exit 3`)
	silent.Ready = spec.Ready // the same socket
	r := start(t, supervisor.Config{Restart: supervisor.Restart{When: supervisor.OnFailure, Initial: time.Hour}}, spec, silent)
	r.want(supervisor.Ready)
	touch(t, dir, "end")
	r.want(supervisor.Restarting)
	var early *supervisor.ExitError
	if e := r.want(supervisor.Exited); !errors.As(e.Err, &early) || early.Exit.Code != 3 {
		t.Errorf("the second life ended by %v", e.Err)
	}
}

// A message is a sign of life, and so is the silence that one announces.
func TestNotifyIsNoStall(t *testing.T) {
	for name, text := range map[string]string{
		"messages":   `export ` + sayEnv + `=again; exec "$0" STATUS=busy`,
		"extensions": `say EXTEND_TIMEOUT_USEC=60000000; exec sleep 1000`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec, _, _ := notifier(t, text)
			spec.Stall, spec.StartLimit = 1200*time.Millisecond, 3*time.Second
			if e := wantErr[*supervisor.NotReadyError](t, start(t, supervisor.Config{}, spec)); e.Stalled {
				t.Errorf("what it said was not taken for a sign of life: %v", e)
			}
		})
	}
}

// A child's socket can't be had twice at once, and a probe without one is a defect.
func TestNotifyCannotListen(t *testing.T) {
	spec, _, _ := notifier(t, `exec sleep 1000`)
	spec.Ready = []supervisor.Probe{supervisor.Notify("")}
	if err := <-start(t, supervisor.Config{}, spec).err; err == nil || !strings.Contains(err.Error(), "it needs a name") {
		t.Error(err)
	}
	if runtime.GOOS != "linux" {
		return
	}
	spec, _, name := notifier(t, `exec sleep 1000`)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "@" + name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := <-start(t, supervisor.Config{}, spec).err; !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
}
