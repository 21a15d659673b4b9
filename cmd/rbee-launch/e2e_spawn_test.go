package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/program"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
)

// startDaemon runs one of the other programs, until the test ends, at a port of its own in
// the environment of base, and returns where it is.
func startDaemon(t *testing.T, base *exec.Cmd, name string, args ...string) (url string) {
	t.Helper()
	at := "127.0.0.1:" + ownPort(t)
	log := &bytes.Buffer{}
	cmd := &exec.Cmd{
		Path: base.Path, Args: append([]string{name, "--listen", at}, args...), Env: base.Env, Dir: base.Dir,
		Stdout: log, Stderr: log,
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // one that has ended is told of by Wait
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%s: %v: %s", name, err, log)
		}
	})
	url = "http://" + at
	for deadline := time.Now().Add(e2eLimit); ; time.Sleep(10 * time.Millisecond) {
		if _, err := get(t.Context(), url+"/health"); err == nil {
			return url
		} else if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %v", name, err)
		}
	}
}

// spawned follows a spawn by its events, from the request to the operation's end.
func spawned(t *testing.T, queenURL, body string) (op hive.Operation, events []string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, queenURL+"/v1/queen/spawn-worker", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	resp, err := freshClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		refusal, _ := io.ReadAll(resp.Body) // what there is says why
		t.Fatalf("a spawn is answered with %s: %s", resp.Status, refusal)
	}
	name := ""
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case field == "event":
			name = value
		case field != "data":
		case name == "end":
			if err := json.Unmarshal([]byte(value), &op); err != nil {
				t.Fatal(err)
			}
			return op, events
		case name == "":
			var e hive.Event
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				t.Fatal(err)
			}
			events = append(events, e.Name)
		default:
			name = ""
		}
	}
	t.Fatalf("the stream breaks off after %q", events)
	return op, events
}

// below lists all that descends from the launch of an id, its keeper first: parents come
// before their children.
func below(t *testing.T, keeper int) (tree []proc) {
	t.Helper()
	p, _, lives := readStat(fmt.Sprintf("/proc/%d/stat", keeper))
	if !lives {
		t.Fatalf("the keeper, pid %d, does not live", keeper)
	}
	l := launcher{t: t, cmd: &exec.Cmd{Process: &os.Process{Pid: keeper}}}
	return append([]proc{p}, l.tree()...)
}

// TestOllamaThroughTheQueen: a real model, spawned by a hive on the queen's word, answers a
// streamed chat that the queen is asked.
func TestOllamaThroughTheQueen(t *testing.T) {
	path := need(t, "ollama")
	if runtime.GOOS != "linux" {
		t.Skip("finds processes through /proc")
	}
	t.Parallel()
	base := rbeeLaunch(t, filepath.Dir(path))
	t.Cleanup(func() { // of what a test that failed has left: workers outlive their hive
		stop := exec.Cmd{Path: base.Path, Args: []string{"rbee-launch", "stop", "--all"}, Env: base.Env, Dir: base.Dir}
		if out, err := stop.CombinedOutput(); err != nil {
			t.Errorf("stop --all: %v: %s", err, out)
		}
	})
	registryURL := startDaemon(t, base, program.RegistryName)
	queenURL := startDaemon(t, base, program.QueenName, "--registry-url", registryURL)
	port := ownPort(t)
	hiveURL := startDaemon(t, base, program.HiveName, "--registry-url", registryURL, "--id", "box", "--ports", port+"-"+port,
		"--models", filepath.Dir(tinyModel(t)))
	for deadline := time.Now().Add(e2eLimit); ; time.Sleep(10 * time.Millisecond) {
		list, err := get(t.Context(), queenURL+"/v1/queen/hives")
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(list) != "[]" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the queen gets to know of no hive")
		}
	}

	op, events := spawned(t, queenURL, `{"worker_type":"llm","model":"tiny"}`)
	if op.Status != hive.Succeeded || op.Worker == nil || op.Worker.Engine != "ollama" {
		t.Fatalf("the spawn ended as %+v, %+v", op, op.Error)
	}
	for _, want := range []string{"the engine ollama", "the model on disk"} {
		if !strings.Contains(op.Why, want) {
			t.Errorf("%q is not why: %q", want, op.Why)
		}
	}
	if want := []string{"leased", "spawned", "ready"}; !slices.Equal(slices.DeleteFunc(slices.Clone(events), func(e string) bool {
		return !slices.Contains(want, e)
	}), want) {
		t.Errorf("the events are %q", events)
	}
	var list []queen.Worker
	text, err := get(t.Context(), queenURL+"/v1/queen/workers")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 1 || list[0].WorkerID != op.WorkerID {
		t.Fatalf("the queen lists %s, %v", text, err)
	}
	wantAnswer(t, freshClient(), queenURL, "", "tiny")

	keeper, _ := list[0].Metadata["launcher_pid"].(float64)
	tree := below(t, int(keeper))
	if missing := without([]string{"ollama", "ollama"}, tree); len(missing) > 0 {
		t.Errorf("a server and its runner are not among %v", tree)
	}
	resp, err := freshClient().Post(queenURL+"/v1/queen/workers/"+op.WorkerID+"/stop", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a stop is answered with %s", resp.Status)
	}
	awaitEnd(t, tree)
	for _, url := range []string{queenURL + "/v1/queen/workers", registryURL + "/v1/registry/workers", hiveURL + "/v1/hive/workers"} {
		if left, err := get(t.Context(), url); err != nil || strings.TrimSpace(left) != "[]" {
			t.Errorf("%s still lists %s, %v", url, left, err)
		}
	}
}
