package hive_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/launch"
)

// TestUsage: the stream has what was, and goes on with what is.
func TestUsage(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *hive.Config) { c.Sample = 20 * time.Millisecond })
	w := b.spawn()
	path := "/v1/hive/workers/" + w.WorkerID + "/usage"
	history, next := b.usage(path)
	if next.Processes < 1 || next.RSSBytes < 1<<20 || next.Time.IsZero() {
		t.Errorf("a sample of a worker that lives: %+v", next)
	}
	if n := len(history); n > 0 && !next.Time.After(history[n-1].Time) {
		t.Errorf("%+v comes after %+v", next, history[n-1])
	}
	if history, _ = b.usage(path); len(history) == 0 {
		t.Error("who comes later has no history")
	}
	if status, _, answer := b.ask("GET", path+"?follow=false", ""); status != 200 || !strings.Contains(answer, "event: history\n") || strings.Count(answer, "data: ") != 1 {
		t.Errorf("who asks once: %d %s", status, answer)
	}
	if status, _, answer := b.ask("GET", "/v1/hive/workers/nobody/usage", ""); status != 404 {
		t.Errorf("nobody: %d %s", status, answer)
	}
}

// usage is the history that a stream begins with, and the first sample after that.
func (b *box) usage(path string) (history []client.Sample, next client.Sample) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", b.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	begun := false
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case !is:
		case !begun:
			begun = true
			err = json.Unmarshal([]byte(data), &history)
		default:
			if err := json.Unmarshal([]byte(data), &next); err != nil {
				b.t.Fatal(err)
			}
			return history, next
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	b.t.Fatal("the stream ended")
	return nil, next
}

// TestRestartOfAWorker: it comes back as another process, under the same id.
func TestRestartOfAWorker(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	w := b.spawn()
	status, _, answer := b.ask("POST", "/v1/hive/workers/"+w.WorkerID+"/restart", "")
	if status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	b.eventually("it runs anew", func() bool {
		l := b.launched(w.WorkerID)
		return l.Status == launch.IsReady && l.PID != w.PID && l.InstanceID != w.InstanceID
	})
	if status, _, answer := b.ask("POST", "/v1/hive/workers/nobody/restart", ""); status != 404 {
		t.Errorf("nobody: %d %s", status, answer)
	}
}

// TestDevice: a worker is kept to the GPUs that were asked for.
func TestDevice(t *testing.T) {
	dir := t.TempDir()
	smi := "#!/bin/sh\necho '0, GPU-a1, 1024, 512, NVIDIA X'; echo '1, GPU-b2, 1024, 512, NVIDIA X'\n"
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte(smi), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	b := newBox(t, nil)
	for device, want := range map[string]string{"cpu": "-1", "0,1": "0,1"} {
		req := builtin()
		req.Device = device
		op := b.follow(b.begin(req).ID, nil)
		if op.Worker == nil {
			t.Fatalf("%s: %+v", device, op.Error)
		}
		env, err := os.ReadFile("/proc/" + strconv.Itoa(op.Worker.PID) + "/environ")
		if err != nil {
			t.Skip("the environment of another process is not to be seen here: ", err)
		}
		if !strings.Contains("\x00"+string(env), "\x00CUDA_VISIBLE_DEVICES="+want+"\x00") {
			t.Errorf("%s: its environment is %q", device, env)
		}
	}
	for device, why := range map[string]string{
		"0; rm": "neither cpu nor a list", "7": "there are cpu, 0 (NVIDIA X, GPU-a1), 1 (NVIDIA X, GPU-b2)", "0,zzz": `\"zzz\" is no GPU`,
	} {
		status, _, answer := b.ask("POST", "/v1/hive/workers", `{"engine":"builtin","device":"`+device+`"}`)
		if code, field := refusal(answer); status != 422 || code != "invalid_field" || field != "device" || !strings.Contains(answer, why) {
			t.Errorf("%s, which is no device: %d %s", device, status, answer)
		}
	}
}

// TestStopWorkers: a hive that is part of something leaves nothing behind.
func TestStopWorkers(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *hive.Config) { c.StopWorkers = true })
	w := b.spawn()
	b.leave()
	if ids, err := launch.List(b.cfg.RuntimeDir); len(ids) > 0 || err != nil {
		t.Errorf("left are %v, %v", ids, err)
	}
	if syscall.Kill(w.PID, 0) == nil {
		t.Errorf("pid %d lives", w.PID)
	}
}
