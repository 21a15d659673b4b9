package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/systeminfo"
	"github.com/chromedp/chromedp"

	"github.com/rbee-launch/rbee-launch/registry"
)

// slack is what times are allowed on a machine that others use, too: only what hangs is over
// it. RBEE_BUDGET=1 asks for the strict figures.
const slack = 20

func strict() bool { return os.Getenv("RBEE_BUDGET") == "1" }

// within tells a figure, and fails when it is far from what it is to be.
func within(t *testing.T, what string, got, budget float64, unit string) {
	t.Helper()
	t.Logf("%s: %.1f %s of %.0f", what, got, unit, budget)
	if unit == "ms" && !strict() {
		budget *= slack
	}
	if got > budget {
		t.Errorf("%s: %.1f %s are over %.0f", what, got, unit, budget)
	}
}

func get(t *testing.T, at string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// metrics are those of the tab, as the browser counts them.
func (b *tab) metrics() map[string]float64 {
	b.t.Helper()
	found := map[string]float64{}
	for _, m := range call(b, performance.GetMetrics, cdp.Empty{}).Metrics {
		found[m.Name] = m.Value
	}
	return found
}

// With 500 workers the table answers what is typed into its filter.
func manyWorkers(t *testing.T, b browser) {
	w := startWorld(t)
	c := w.client()
	for i := range 500 {
		if _, err := c.Register(t.Context(), registry.Component{
			Kind: registry.Worker, ID: fmt.Sprintf("worker-llm-%03d", i), InstanceID: "i", Hostname: fmt.Sprintf("box%d", i%20), Port: 8000 + i,
			WorkerType: "llm", Model: fmt.Sprintf("model-%d", i%10), Metadata: map[string]any{"spawned_by": "rbee-launch"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	p := b.profile(t).first(w.gui.url)
	p.live()
	p.await(`Number(document.documentElement.dataset.shown) >= 500`)
	call(p, performance.Enable, performance.EnableParams{})
	var scripts, waits []float64
	for i, words := range []string{"box7", "worker-llm-123", "", "model-3", "status:online host:box1", "zzz", "", "9", "worker", "host:box19"} {
		before := p.metrics()
		wait := eval[float64](p, fmt.Sprintf(`new Promise(done => {
			const field = %s, count = %s, was = count.textContent, began = performance.now();
			field.value = %q;
			field.dispatchEvent(new Event("input", {bubbles: true}));
			const look = () => count.textContent !== was ? requestAnimationFrame(() => done(performance.now() - began))
				: performance.now() - began > 5000 ? done(-1) : requestAnimationFrame(look);
			look();
		})`, one("filter"), one("count"), words))
		after := p.metrics()
		if wait < 0 {
			t.Errorf("%q changes nothing: %s", words, eval[string](p, one("count")+`.textContent`))
		}
		if i > 0 { // the first one is compiled
			scripts = append(scripts, 1000*(after["ScriptDuration"]-before["ScriptDuration"]))
			waits = append(waits, wait)
		}
	}
	slices.Sort(scripts)
	slices.Sort(waits)
	t.Logf("script time of a filter from %.1f to %.1f ms", scripts[0], scripts[len(scripts)-1])
	within(t, "script time of a filter over 500 workers, median", scripts[len(scripts)/2], 100, "ms")
	within(t, "until it is drawn, median", waits[len(waits)/2], 200, "ms")
}

// A worker that prints 100,000 lines a minute leaves the tab small, and answering.
func fastLog(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(`{"worker_type":"llm","engine":"chatty"}`)
	p := b.profile(t).first(w.gui.url + "/#/worker/" + id)
	p.live()
	p.await(`document.querySelectorAll("[data-testid='log-lines'] .line").length > 100`)
	length := 6 * time.Second
	if strict() {
		length = time.Minute
	}
	// In the page: how long the longest pause was in which it did not answer.
	longest := eval[float64](p, fmt.Sprintf(`new Promise(done => {
		let last = performance.now(), longest = 0;
		const began = last;
		const tick = setInterval(() => {
			const now = performance.now();
			longest = Math.max(longest, now - last);
			last = now;
			if (now - began > %d) { clearInterval(tick); done(longest); }
		}, 10);
	})`, length.Milliseconds()))
	size := p.memory()
	within(t, "the longest time in which the tab does not answer", longest, 250, "ms")
	within(t, "memory of the tab", size, 150, "MB")
	printed := lastToken(t, w, id)
	shown := eval[string](p, `[...document.querySelectorAll("[data-testid='log-lines'] .line")].at(-1).textContent`)
	t.Logf("%d lines were printed; the last shown is %q", printed, shown)
	if m := token.FindStringSubmatch(shown); m == nil || atoi(m[1]) < printed-5*1667 {
		t.Errorf("the page is behind: it shows %q of %d", shown, printed)
	}
	p.click(one("log-pause"))
	p.await(one("log-state") + `.textContent.startsWith("paused")`)
	p.click(one("log-pause"))
	p.await(one("log-state") + `.textContent.startsWith("following")`)
	p.page("#/cluster")
	p.await(one("panel") + ` === null`)
}

var token = regexp.MustCompile(`token (\d+)`)

func atoi(text string) int { n, _ := strconv.Atoi(text); return n }

// lastToken is the number of the last line that the worker has printed.
func lastToken(t *testing.T, w *world, id string) int {
	t.Helper()
	m := token.FindStringSubmatch(get(t, w.gui.url+"/api/here/v1/hive/workers/"+id+"/logs?tail=1"))
	if m == nil {
		t.Fatal("nothing is printed")
	}
	return atoi(m[1])
}

// memory is what the largest of the browser's renderers has for itself, in megabytes: the
// tab under test, since others show what is small.
func (b *tab) memory() (largest float64) {
	b.t.Helper()
	info, err := chromedp.CallBrowser(b.ctx, systeminfo.GetProcessInfo, cdp.Empty{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, p := range info.ProcessInfo {
		if p.Type == "renderer" {
			largest = max(largest, private(p.ID))
		}
	}
	return largest
}

// private is the memory that a process shares with no other, in megabytes.
func private(pid int64) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0 // it has ended
	}
	sum := 0
	for _, m := range regexp.MustCompile(`(?m)^Private_\w+:\s+(\d+) kB`).FindAllStringSubmatch(string(text), -1) {
		sum += atoi(m[1])
	}
	return float64(sum) / 1000
}
