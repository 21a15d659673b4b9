package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
)

// storyKey is where testscript keeps a script's story.
type storyKey struct{}

// story is what one script has of its own.
type story struct {
	t       testscript.T
	work    string
	keys    []string // of the environment that its processes get
	blocks  []*ports.Lease
	free    []int // ports of the last block
	started map[string]*process
	conns   []net.Conn
}

func newStory(env *testscript.Env) *story {
	s := &story{t: env.T(), work: env.WorkDir, started: map[string]*process{}}
	for _, v := range env.Vars {
		key, _, _ := strings.Cut(v, "=")
		s.keys = append(s.keys, key)
	}
	return s
}

// process is one that the story has started and not yet seen the end of.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once cmd has ended
}

// end holds the story to leaving no process, and gives its ports back.
func (s *story) end() {
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	var left []string
	for name, p := range s.started {
		left = append(left, name)
		_ = p.cmd.Process.Kill() // it may have ended by now
		<-p.done
	}
	launches := s.launches()
	strays := s.strays(longest / 2)
	for _, l := range s.blocks {
		_ = l.Release()
	}
	switch {
	case len(left) > 0: // a failed story, usually: what it started is not worth an error of its own
		s.t.Log("ended what the story had not: ", strings.Join(left, ", "))
		if !s.failed() {
			s.t.FailNow()
		}
	case len(launches) > 0 && s.failed():
		s.t.Log("ended launches of the story: ", strings.Join(launches, ", "))
	case len(launches) > 0:
		s.t.Fatal("the story left these launches behind: ", strings.Join(launches, ", "))
	case len(strays) > 0:
		s.t.Fatal("the story left these behind:\n", strings.Join(strays, "\n"))
	}
}

// launches lists those that have a keeper of their own, and so outlive whoever began them,
// and ends them.
func (s *story) launches() (left []string) {
	runtimeDir := filepath.Join(s.work, "run")
	all, err := launch.List(runtimeDir)
	if err != nil {
		s.t.Log("the story's launches: ", err)
	}
	none := time.Duration(0)
	for _, l := range all {
		if !l.Detached || l.Status == launch.HasExited || l.Status == launch.IsStopping { // what ends by itself strays waits for
			continue
		}
		left = append(left, l.ID)
		ctx, cancel := context.WithTimeout(context.Background(), longest)
		if err := launch.Stop(ctx, runtimeDir, l.ID, launch.StopOptions{Grace: &none}, nil); err != nil {
			s.t.Log("end what the story had not: ", err)
		}
		cancel()
	}
	return left
}

func (s *story) failed() bool {
	t, ok := s.t.(interface{ Failed() bool })
	return ok && t.Failed()
}

// strays lists the processes that the story still has after some time to go, and ends
// them.
func (s *story) strays(limit time.Duration) (lines []string) {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		found := s.processes()
		if len(found) > 0 && time.Now().Before(deadline) {
			continue
		}
		for pid, line := range found {
			lines = append(lines, fmt.Sprint(pid, " ", line))
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have gone just now
		}
		return lines
	}
}

// processes are those that have the story's environment, as far as /proc tells, by
// pid.
func (s *story) processes() map[int]string {
	found := map[int]string{}
	mark := []byte("RBEE_RUNTIME_DIR=" + s.work + "/run\x00")
	files, _ := filepath.Glob("/proc/[0-9]*/environ") // there are none but on Linux
	for _, file := range files {
		environ, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(environ, mark) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline")) // for the message alone
		found[pid] = string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
	}
	return found
}

// blockSize is how many ports a story gets at a time.
const blockSize = 20

// block leases a port that stands for a block of others, which no other story has:
// the launchers want to lease these themselves. In case strangers are there, each of
// the block is looked at.
func (s *story) block(ts *testscript.TestScript) {
	standIns := ports.Range{First: 15000, Last: 15249}
	for {
		lease, err := ports.Acquire(context.Background(), ports.Config{Range: standIns})
		ts.Check(err)
		s.blocks = append(s.blocks, lease)
		first := 10000 + (lease.Port()-standIns.First)*blockSize
		s.free = nil
		for port := first; port < first+blockSize; port++ {
			ln, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
			if err != nil {
				break
			}
			ts.Check(ln.Close())
			s.free = append(s.free, port)
		}
		if len(s.free) == blockSize {
			return
		}
	}
}

func (s *story) take(ts *testscript.TestScript, n int) int {
	if len(s.free) < n {
		s.block(ts)
	}
	first := s.free[0]
	s.free = s.free[n:]
	return first
}
