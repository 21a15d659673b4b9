package guard_test

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// unreaped starts a process that ends when its parent is sleep, and prints its pid. A shell
// might reap it before it becomes that.
const unreaped = `sh -c 'until [ "$(cat /proc/$PPID/comm)" = sleep ]; do :; done' & echo $!; `

// A child that does not wait for its own children leaves zombies, which don't live.
func TestPidsLive(t *testing.T) {
	g := start(t)
	c, out := spawn(t, g, unreaped+`exec sleep 1000`)
	pid, err := strconv.Atoi(line(t, out))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !isZombie(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("pid %d never was a zombie", pid)
		}
	}
	if got := c.Pids(); !slices.Equal(got, []int{c.PID()}) {
		t.Errorf("pids %v live, want %d alone", got, c.PID())
	}
}

// Who has ended and was not reaped lives no more, and is nobody else.
func TestProcessThatIsNotReaped(t *testing.T) {
	g := start(t)
	_, out := spawn(t, g, unreaped+`cat /proc/$!/stat; exec sleep 1000`)
	pid, err := strconv.Atoi(line(t, out))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(line(t, out), ") ")
	began, err := strconv.ParseInt(strings.Fields(fields)[19], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !isZombie(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("pid %d never was a zombie", pid)
		}
	}
	p := guard.Process{PID: pid, Start: began}
	if p.Alive() || p.Replaced() {
		t.Errorf("a zombie is alive: %t, another: %t", p.Alive(), p.Replaced())
	}
	p.Start--
	if p.Alive() || !p.Replaced() {
		t.Errorf("of an earlier process, the pid is alive: %t, another's: %t", p.Alive(), p.Replaced())
	}
}

// A process whose first thread has ended lives, for all that its state says Z.
func TestPidsWithoutFirstThread(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	g := start(t)
	c, _ := spawn(t, g, `exec python3 -c '
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
ctypes.CDLL(None).pthread_exit(None)'`)
	for deadline := time.Now().Add(20 * time.Second); !isZombie(c.PID()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("pid %d never looked like a zombie", c.PID())
		}
	}
	if got := c.Pids(); !slices.Equal(got, []int{c.PID()}) {
		t.Errorf("pids %v live, want %d", got, c.PID())
	}
}

func isZombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}
