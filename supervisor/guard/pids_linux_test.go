package guard_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A child that does not wait for its own children leaves zombies, which don't live.
func TestPidsLive(t *testing.T) {
	g := start(t)
	c, out := spawn(t, g, `true & echo $!; exec sleep 1000`)
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

func isZombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}
