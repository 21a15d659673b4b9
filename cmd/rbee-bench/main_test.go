package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

// asProgram has the test binary be rbee-bench, and so the servers that it starts, too.
const asProgram = "RBEE_BENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// rbeeBench runs the program in a folder of its own, which it must leave empty, and
// gives what it printed.
func rbeeBench(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := command(t, args...)
	temp := t.TempDir()
	cmd.Env = append(cmd.Env, "TMPDIR="+temp)
	cmd.Stderr = t.Output()
	out, err := cmd.Output() // which waits until no child has the pipes either
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v (%v)", left, err)
	}
	return out
}

// printed is a report as it is read.
type printed struct {
	Sections []struct {
		Name string
		Rows []struct {
			What, Who, Note string
			Values          map[string]float64
		}
	}
}

func quick(t *testing.T, args ...string) printed {
	t.Helper()
	out := rbeeBench(t, append([]string{"registry", "--quick", "--json"}, args...)...)
	var r printed
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

// TestQuick runs every section against the real registry. What it measures is of no
// interest here; that it has measured is.
func TestQuick(t *testing.T) {
	t.Parallel()
	r := quick(t, "--etcd", "none")
	if len(r.Sections) != len(parts()) {
		t.Errorf("%d sections are reported, of %d", len(r.Sections), len(parts()))
	}
	for _, s := range r.Sections {
		seen := map[string]bool{}
		for _, row := range s.Rows {
			seen[row.Who] = true
			if strings.Contains(row.Note, "not offered") {
				continue // by the registry as it is
			}
			// A machine that stalls for some tenths of a second has the registry wait for
			// longer than the probe does.
			if row.Note != "" && s.Name != "expiry" {
				t.Errorf("%s, %s, %s: %s", s.Name, row.What, row.Who, row.Note)
			}
			if len(row.Values) == 0 {
				t.Errorf("%s, %s, %s: nothing was measured", s.Name, row.What, row.Who)
			}
			if rate, there := row.Values["per_second"]; there && rate <= 0 {
				t.Errorf("%s, %s, %s: %v requests per second", s.Name, row.What, row.Who, rate)
			}
			if row.Values["p50_ms"] > row.Values["p99_ms"] || row.Values["p99_ms"] > row.Values["max_ms"] {
				t.Errorf("%s, %s, %s: its latencies are %v", s.Name, row.What, row.Who, row.Values)
			}
		}
		if !seen["registry"] || !seen["bare"] {
			t.Errorf("%s: measured was %v, want the registry and the bare handler", s.Name, seen)
		}
	}
}

// TestInterrupted: Ctrl-C ends it, and the servers with it.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	cmd := command(t, "registry", "--etcd", "none", "--only", "heartbeat")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(stderr)
	if _, err := in.ReadString('\n'); err != nil { // the name of the section that has begun
		t.Error(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	rest, err := io.ReadAll(in) // until the servers, too, which have it, have ended
	if err != nil || len(rest) > 0 {
		t.Errorf("it said %q (%v)", rest, err)
	}
	_ = cmd.Wait() // the code tells
	if code := cmd.ProcessState.ExitCode(); code != cli.CodeInterrupted {
		t.Errorf("its exit code is %d", code)
	}
}

func TestUnknownSection(t *testing.T) {
	t.Parallel()
	cmd := command(t, "registry", "--only", "heartbeat,hartbeat")
	out, _ := cmd.CombinedOutput() // the code tells
	if code := cmd.ProcessState.ExitCode(); code != cli.CodeUsage || !strings.Contains(string(out), `"hartbeat"`) {
		t.Errorf("its exit code is %d, and it said %q", code, out)
	}
}

// TestBesideEtcd needs etcd, which is in Debian's etcd-server.
func TestBesideEtcd(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("etcd"); err != nil {
		if os.Getenv("RBEE_CI") == "1" {
			t.Fatal("etcd is not installed, and CI is to test it")
		}
		t.Skip("etcd is not installed")
	}
	r := quick(t, "--only", "heartbeat")
	for _, row := range r.Sections[0].Rows {
		if row.Who == "etcd" && row.Note == "" && row.Values["per_second"] > 0 {
			return
		}
	}
	t.Errorf("etcd was not measured: %+v", r.Sections[0].Rows)
}
