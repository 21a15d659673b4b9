package main

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A Prometheus that nobody here wrote finds the workers by the registry, with the
// configuration that the guide shows, and loses one that has stopped.
func TestPrometheusFindsTheWorkers(t *testing.T) {
	t.Parallel()
	program, promtool := need(t, "prometheus"), need(t, "promtool")
	registryAt := "127.0.0.1:" + ownPort(t)
	startLauncher(t, "", "registry", "--listen", registryAt)
	startLauncher(t, "", "queen", "--listen", "127.0.0.1:"+ownPort(t), "--registry-url", "http://"+registryAt)
	var workers []*launcher
	for _, id := range []string{"first", "second"} {
		workers = append(workers, startLauncher(t, "", "worker", "--engine", "builtin", "--id", id, "--port", ownPort(t),
			"--registry-url", "http://"+registryAt, "--queen-url", ""))
	}
	p := startPrometheus(t, program, guideConfig(t, registryAt))

	p.await("both are up", "/api/v1/targets?state=active", targetsUp("first", "second"))
	p.await("both are up by its own word", query(`up{job="rbee",type="worker"} == 1`), series("first", "second"))
	p.await("both tell that they are ready", query(`rbee_worker_ready{model="rbee-simulation"} == 1`), series("first", "second"))
	p.await("the queen knows both", query(`rbee_queen_workers{type="queen",status="online"} == 2`), series("queen"))
	p.await("the registry holds both", query(`rbee_registry_components{component_type="worker",status="online"} == 2`), series(""))
	checkMetrics(t, promtool, "http://"+registryAt, p.address("queen"), p.address("first"))

	workers[0].stop()
	p.await("the first has left", "/api/v1/targets?state=active", targetsUp("second"))
}

// guideConfig is the guide's prometheus.yml, for a registry that is elsewhere and in a hurry.
func guideConfig(t *testing.T, registryAt string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```yaml\n([^`]*http_sd_configs[^`]*)```").FindSubmatch(text)
	if found == nil {
		t.Fatal("the guide shows no http_sd_configs")
	}
	return strings.NewReplacer("127.0.0.1:7830", registryAt, "15s", "1s").Replace(string(found[1]))
}

// prometheus is a running Prometheus.
type prometheus struct {
	t   *testing.T
	url string
	l   *launcher
}

// startPrometheus launches it, which also waits until it is ready and leaves nothing of it.
func startPrometheus(t *testing.T, program, config string) prometheus {
	t.Helper()
	dir, port := t.TempDir(), ownPort(t)
	writeFile(t, filepath.Join(dir, "prometheus.yml"), config)
	l := startLauncher(t, "", "exec", "--id", "prometheus", "--port", port, "--registry-url", "", "--queen-url", "",
		"--health-http", "/-/ready", "--", program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:{port}", "--log.level=warn")
	t.Cleanup(func() { // its folder is removed next
		tree := l.tree()
		l.stop()
		awaitEnd(t, tree)
	})
	return prometheus{t, "http://127.0.0.1:" + port, l}
}

// await asks until the answer is as wanted. Prometheus tells of nothing by itself.
func (p prometheus) await(what, path string, wanted func(answer) bool) {
	p.t.Helper()
	var text string
	var err error
	for deadline := time.Now().Add(e2eLimit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if text, err = get(p.t.Context(), p.url+path); err != nil {
			continue // it may still be starting
		}
		var a answer
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			p.t.Fatalf("%s: %v: %s", path, err, text)
		}
		if wanted(a) {
			return
		}
	}
	p.t.Fatalf("never: %s; %s %v; %s", what, text, err, p.l.said())
}

// answer is what Prometheus' API says of targets, or of a query.
type answer struct {
	Data struct {
		ActiveTargets []struct {
			Labels    map[string]string
			Health    string
			ScrapeURL string
		}
		Result []struct{ Metric map[string]string }
	}
}

// targetsUp wants the workers with these ids, and no others, to be up.
func targetsUp(ids ...string) func(answer) bool {
	return func(a answer) bool {
		var found []string
		for _, target := range a.Data.ActiveTargets {
			if target.Labels["type"] != "worker" {
				continue
			}
			if target.Health != "up" {
				return false
			}
			found = append(found, target.Labels["id"])
		}
		slices.Sort(found)
		return slices.Equal(found, ids)
	}
}

// series wants one sample of each of these ids, and no others.
func series(ids ...string) func(answer) bool {
	return func(a answer) bool {
		var found []string
		for _, sample := range a.Data.Result {
			found = append(found, sample.Metric["id"])
		}
		slices.Sort(found)
		return slices.Equal(found, ids)
	}
}

func query(text string) string { return "/api/v1/query?" + url.Values{"query": {text}}.Encode() }

// address is where Prometheus scrapes the component with that id.
func (p prometheus) address(id string) (base string) {
	p.t.Helper()
	p.await(id+" has an address", "/api/v1/targets?state=active", func(a answer) bool {
		for _, target := range a.Data.ActiveTargets {
			if target.Labels["id"] == id {
				base, _ = strings.CutSuffix(target.ScrapeURL, "/metrics")
			}
		}
		return base != ""
	})
	return base
}

// checkMetrics wants Prometheus' linter to have nothing to say.
func checkMetrics(t *testing.T, promtool string, servers ...string) {
	t.Helper()
	for _, server := range servers {
		text, err := get(t.Context(), server+"/metrics")
		if err != nil {
			t.Error(err)
			continue
		}
		cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool says of %s: %v\n%s", server, err, out)
		}
	}
}
