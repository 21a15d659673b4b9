package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
)

// sidecars launches so many detached workers and gives the command that they are asked
// after with.
func sidecars(b *testing.B, n int) (command func(args ...string) []byte) {
	b.Helper()
	dir := b.TempDir()
	self := filepath.Join(dir, "rbee-launch") // as it is installed: the test binary is bigger
	if out, err := exec.Command("go", "build", "-o", self, ".").CombinedOutput(); err != nil {
		b.Fatalf("build rbee-launch: %v: %s", err, out)
	}
	env := os.Environ()
	for _, name := range []string{"HOME", "RBEE_RUNTIME_DIR", "RBEE_STATE_DIR"} {
		env = append(env, name+"="+filepath.Join(dir, strings.ToLower(name)))
	}
	command = func(args ...string) []byte {
		b.Helper()
		cmd := exec.Command(self, args...)
		cmd.Env = env
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			b.Fatalf("%s: %v: %s", args, err, stderr.String())
		}
		return out
	}
	slots := make(chan struct{}, 8) // not all at once: it is not the start that is measured
	var starting sync.WaitGroup
	for i := range n {
		starting.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			command("worker", "-d", "--engine", "builtin", "--id", fmt.Sprint("w", i), "--registry-url", "", "--queen-url", "",
				"--ports", "14000-14999")
		})
	}
	starting.Wait()
	b.Cleanup(func() { command("stop", "--all") })
	return command
}

// BenchmarkPs is the time of "rbee-launch ps" with 100 sidecars, its process included.
func BenchmarkPs(b *testing.B) {
	command := sidecars(b, 100)
	for b.Loop() {
		command("ps")
	}
	b.ReportMetric(1000*b.Elapsed().Seconds()/float64(b.N), "ps-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkIdle is what one sidecar and its guard take while their child is well and
// nobody asks: resident memory, and processor time over 20 s.
func BenchmarkIdle(b *testing.B) {
	command := sidecars(b, 1)
	var inspected launch.Inspection
	if err := json.Unmarshal(command("inspect", "w0"), &inspected); err != nil {
		b.Fatal(err)
	}
	var sidecar, guard time.Duration
	const span = 20 * time.Second
	for b.Loop() {
		before, beforeGuard := cpuOf(b, inspected.SupervisorPID), cpuOf(b, inspected.GuardPID)
		time.Sleep(span)
		sidecar += cpuOf(b, inspected.SupervisorPID) - before
		guard += cpuOf(b, inspected.GuardPID) - beforeGuard
	}
	spans := span.Seconds() * float64(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rssMB(b, inspected.SupervisorPID), "sidecar-MB")
	b.ReportMetric(rssMB(b, inspected.GuardPID), "guard-MB")
	b.ReportMetric(100*sidecar.Seconds()/spans, "sidecar-%cpu")
	b.ReportMetric(100*guard.Seconds()/spans, "guard-%cpu")
}

// cpuOf adds up the processor time of a process's threads, which the kernel counts in ns.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		b.Fatal(files, err)
	}
	var sum time.Duration
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(body))[0], 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}

func rssMB(b *testing.B, pid int) float64 {
	b.Helper()
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(body), "VmRSS:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}
