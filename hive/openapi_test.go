package hive_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/internal/apitest"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/launch"
)

func (b *box) document() *apitest.Document {
	b.t.Helper()
	_, _, text := b.ask("GET", openapi.Path, "")
	doc, err := apitest.Parse([]byte(text))
	if err != nil {
		b.t.Fatal(err)
	}
	return doc
}

func TestEveryRouteIsInTheDocument(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	h, err := hive.New(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"GET " + openapi.Path}
	for _, route := range h.Table() {
		if route.Doc.Summary == "" || len(route.Doc.Gives) == 0 {
			t.Errorf("%s %s is not described", route.Method, route.Path)
		}
		want = append(want, route.Method+" "+route.Path)
	}
	slices.Sort(want)
	if got := b.document().Operations(); !slices.Equal(got, want) {
		t.Errorf("the document has\n%q, want\n%q", got, want)
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *hive.Config) { c.MaxStarting, c.Sample = 1, 20*time.Millisecond })
	gguf, err := os.ReadFile("../testdata/tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(b.cfg.ModelDirs[0], 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.cfg.ModelDirs[0], "tiny.gguf"), gguf, 0o600); err != nil {
		t.Fatal(err)
	}
	doc := b.document()
	check := func(method, path, id, body string, status int, header ...string) {
		t.Helper()
		got, h, answer := b.ask(method, strings.Replace(path, "{id}", id, 1), body, header...)
		if got != status {
			t.Errorf("%s %s of %q %s: %d, want %d: %s", method, path, id, body, got, status, answer)
		}
		path, _, _ = strings.Cut(path, "?")
		if err := doc.Check(method+" "+path, got, h, []byte(answer)); err != nil {
			t.Error(err)
		}
	}
	const workers, ops = "/v1/hive/workers", "/v1/hive/operations"
	events := []string{"Accept", "text/event-stream"}
	check("POST", workers, "", `{"engine":"builtin","model":"m"}`, 200, events...)
	check("POST", workers, "", `{"engine":"builtin","args":["--no-such-flag"]}`, 200, events...)
	check("POST", workers, "", `{"engine":"builtin","args":["--never-ready"],"port":0}`, 202)
	check("POST", workers, "", `{"engine":"builtin"}`, 503)
	check("POST", workers, "", `{"engine":"other"}`, 422)
	check("POST", workers, "", `{"worker_type":"fake","model":"/etc/passwd"}`, 422)
	check("POST", workers, "", `{"port":"x"}`, 422)
	check("POST", workers, "", `{`, 400)
	check("POST", workers, "", `{"model":"`+strings.Repeat("x", 70_000)+`"}`, 413)
	var loading string
	b.eventually("it loads", func() bool {
		for _, l := range b.ids() {
			if b.launched(l).Status == launch.Starting {
				loading = l
			}
		}
		return loading != ""
	})
	check("GET", workers, "", "", 200)
	check("GET", workers+"/{id}", loading, "", 200)
	check("GET", workers+"/{id}", "other", "", 404)
	_, _, list := b.ask("GET", ops, "")
	_, rest, _ := strings.Cut(list, `"operation_id":"`) // the one that runs is the newest
	op, _, _ := strings.Cut(rest, `"`)
	check("GET", ops, "", "", 200)
	check("GET", ops+"/{id}", op, "", 200)
	check("DELETE", ops+"/{id}", op, "", 200)
	check("GET", ops+"/{id}/events", op, "", 200)
	for _, method := range []string{"GET", "DELETE"} {
		check(method, ops+"/{id}", "other", "", 404)
	}
	check("GET", ops+"/{id}/events", "other", "", 404)
	ready := b.ids()[0]
	check("GET", workers+"/{id}/logs", ready, "", 200)
	check("GET", workers+"/{id}/logs?tail=2", ready, "", 200, events...)
	check("GET", workers+"/{id}/logs?tail=x", ready, "", 422)
	check("GET", workers+"/{id}/logs", "other", "", 404)
	check("DELETE", workers+"/{id}?grace=soon", ready, "", 422)
	check("DELETE", workers+"/{id}?grace=-1s", ready, "", 422)
	check("POST", workers+"/{id}/restart", ready, "", 200)
	check("POST", workers+"/{id}/restart", "other", "", 404)
	check("GET", workers+"/{id}/usage", "other", "", 404)
	var using sync.WaitGroup
	var used string
	var header http.Header
	using.Go(func() { _, header, used = b.ask("GET", workers+"/"+ready+"/usage", "") })
	check("DELETE", workers+"/{id}?grace=0s", ready, "", 200)
	using.Wait()
	if err := doc.Check("GET "+workers+"/{id}/usage", 200, header, []byte(used)); err != nil {
		t.Error(err)
	}
	check("DELETE", workers+"/{id}", ready, "", 404)
	check("GET", "/health", "", "", 200)
	check("GET", "/capabilities", "", "", 200)
	check("GET", "/metrics", "", "", 200)
}

// TestMetrics: what Prometheus is told is well formed, and true.
func TestMetrics(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	b.spawn()
	b.follow(b.begin(builtin("--no-such-flag")).ID, nil)
	_, _, text := b.ask("GET", "/metrics", "")
	for _, want := range []string{
		`rbee_hive_workers{status="ready"} 1`, `rbee_hive_workers{status="orphaned"} 0`, `rbee_hive_adoptions_total 0`,
		`rbee_hive_spawns_total{result="succeeded"} 1`, `rbee_hive_spawns_total{result="failed"} 1`, "go_goroutines",
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
