package hive_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/launch"
)

// read is all of a stream; began is closed when its answer has begun.
func (b *box) read(path string, began chan struct{}) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", b.url+path, nil)
	if err != nil {
		b.t.Error(err)
		return ""
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	close(began)
	if err != nil {
		b.t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Errorf("%s: %v", path, err)
	}
	return string(text)
}

// TestLogs: what a worker has printed, in every form; of one that has ended, too.
func TestLogs(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	w := b.spawn()
	path := "/v1/hive/workers/" + w.WorkerID + "/logs"
	logs := func(query string, header ...string) string {
		t.Helper()
		status, got, text := b.ask("GET", path+query, "", header...)
		if status != 200 {
			t.Errorf("%s: %d %s", query, status, text)
		}
		if kind := got.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") && len(header) == 0 {
			t.Errorf("%s: it is %s", query, kind)
		}
		return text
	}
	b.eventually("it has printed that", func() bool { return strings.Contains(logs(""), "model loaded") })
	for query, want := range map[string]string{
		"":                         `^(?s).*model loaded.*\n$`,
		"?tail=0":                  `^$`,
		"?tail=1":                  `^[^\n]+\n$`,
		"?tail=1&timestamps=true":  `^\d{4}-\d\d-\d\dT[^\n]+\n$`,
		"?tail=1&timestamps=false": `^[^\n]+\n$`,
		"?follow=false":            `^(?s).*model loaded.*\n$`,
	} {
		if text := logs(query); !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("%s: %q does not match %s", query, text, want)
		}
	}
	if text := logs("?tail=1", "Accept", "text/event-stream"); !regexp.MustCompile(`^data: \{"time":.*"text":.*\}\n\n$`).MatchString(text) {
		t.Errorf("as an event: %q", text)
	}
	for query, field := range map[string]string{"?tail=x": "tail", "?tail=-1": "tail", "?follow=x": "follow", "?timestamps=x": "timestamps"} {
		status, _, answer := b.ask("GET", path+query, "")
		if code, at := refusal(answer); status != 422 || code != "invalid_field" || at != field {
			t.Errorf("%s: %d %s", query, status, answer)
		}
	}
	if status, _, answer := b.ask("GET", "/v1/hive/workers/other/logs", ""); status != 404 || !strings.Contains(answer, client.CodeUnknownWorker) {
		t.Errorf("another's: %d %s", status, answer)
	}
	whole := logs("")
	if err := b.to.Stop(t.Context(), w.WorkerID); err != nil {
		t.Fatal(err)
	}
	if text := logs("?follow=true"); !strings.HasPrefix(text, whole) {
		t.Errorf("of one that has ended: %q", text)
	}
}

// TestFollowLog: whoever follows gets what comes, and the end when the worker ends.
func TestFollowLog(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	op := b.begin(builtin("--never-ready"))
	b.await(op, launch.Spawned)
	id := b.operation(op.ID).WorkerID
	texts := make(chan string, 2)
	var reading sync.WaitGroup
	for _, query := range []string{"?follow=true&timestamps=true", "?follow=true"} {
		began := make(chan struct{})
		reading.Go(func() { texts <- b.read("/v1/hive/workers/"+id+"/logs"+query, began) })
		<-began // though nothing is printed
	}
	log, err := os.OpenFile(filepath.Join(b.cfg.StateDir, "logs", id+".log"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.WriteString("2026-01-02T03:04:05.000Z stdout a word\n"); err != nil {
		t.Fatal(err)
	}
	if err := b.to.Cancel(t.Context(), op.ID); err != nil {
		t.Fatal(err)
	}
	reading.Wait()
	for range 2 {
		if text := <-texts; !strings.Contains(text, "a word\n") {
			t.Errorf("read was %q", text)
		}
	}
}
