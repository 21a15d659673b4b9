package supervisor_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

// fakeGPU puts a GPU on PATH that has as many MiB in use as the file it returns says.
func fakeGPU(t *testing.T) (used string) {
	t.Helper()
	dir := t.TempDir()
	used = filepath.Join(dir, "used")
	script := "#!/bin/sh\nread mib <'" + used + "'; echo \"GPU-fake, $mib\"\n"
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	inUse(t, used, "100")
	return used
}

func inUse(t *testing.T, file, mib string) {
	t.Helper()
	next := file + ".new" // a reader finds one number or the other, never none
	if err := os.WriteFile(next, []byte(mib+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
}

// After a crash and after a stop, the memory on the GPU is waited for.
func TestGPUSettles(t *testing.T) {
	used := fakeGPU(t)
	spec := up(`echo up; exec sleep 1000`)
	spec.GPU = true
	r := start(t, supervisor.Config{Restart: supervisor.Restart{When: supervisor.Always}}, spec)
	pid := r.want(supervisor.Ready).PID
	inUse(t, used, "5100")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.want(supervisor.Restarting)
	e := r.next()
	if e.Type != supervisor.Settling || e.Left != 5000<<20 {
		t.Errorf("%s, %d bytes left, before it starts again", e.Type, e.Left)
	}
	inUse(t, used, "100")
	r.want(supervisor.Ready)

	inUse(t, used, "3100")
	r.stop()
	r.want(supervisor.Stopping)
	if e := r.next(); e.Type != supervisor.Settling {
		t.Errorf("%s before it has stopped", e.Type)
	}
	inUse(t, used, "100")
	if e := r.next(); e.Type != supervisor.Stopped {
		t.Errorf("%s after its memory was free", e.Type)
	}
}

// Who is in a hurry, or starts what uses no GPU, does not wait.
func TestGPUIsNotWaitedFor(t *testing.T) {
	used := fakeGPU(t)
	hurry := make(chan struct{})
	spec := up(`echo up; exec sleep 1000`)
	spec.GPU = true
	r := start(t, supervisor.Config{Hurry: hurry}, spec)
	r.want(supervisor.Ready)
	inUse(t, used, "5100")
	close(hurry)
	r.stop()
	r.want(supervisor.Stopping)
	if e := r.next(); e.Type != supervisor.Stopped {
		t.Errorf("%s although there is no time", e.Type)
	}

	spec.GPU = false
	inUse(t, used, "100")
	r = start(t, supervisor.Config{}, spec)
	r.want(supervisor.Ready)
	inUse(t, used, "5100")
	r.stop()
	r.want(supervisor.Stopping)
	if e := r.next(); e.Type != supervisor.Stopped {
		t.Errorf("%s although it uses no GPU", e.Type)
	}
}

// next is the event that comes next.
func (r *run) next() supervisor.Event {
	r.t.Helper()
	e, ok := <-r.events
	if !ok {
		r.t.Fatalf("no event: %v", <-r.err)
	}
	return e
}
