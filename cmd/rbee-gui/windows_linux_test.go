package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// window opens the page in a window of its own, which can be seen beside the others.
func (p profile) window(at string) *tab {
	p.t.Helper()
	ctx, end := chromedp.NewContext(p.ctx, chromedp.WithNewWindow(true))
	p.t.Cleanup(end)
	b := open(p.t, ctx, at)
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: false})
	return b
}

// Any number of windows that show a log leave the browser connections to open one more
// with, and to stop a worker.
func manyWindows(t *testing.T, b browser) {
	w, at := plainWorld(t)
	profile := b.profile(t)
	id := w.spawn(`{"worker_type":"llm","engine":"parrot","args":["--lines","40"]}`)
	of := at + "/#/worker/" + id
	windows := []*tab{profile.first(of)}
	for range 4 {
		windows = append(windows, profile.window(of))
	}
	for _, p := range windows {
		p.await(`!document.hidden && Number(` + one("log-lines") + `?.dataset.kept) > 0`)
		p.await(one("plot-memory") + `?.textContent.includes("iB") === true`)
	}
	for range 3 { // over some rounds of asking
		for _, p := range windows {
			kept := eval[int](p, `Number(`+one("log-lines")+`.dataset.kept)`)
			p.await(fmt.Sprintf(`Number(%s.dataset.kept) > %d`, one("log-lines"), kept+40))
		}
	}
	for _, p := range windows {
		// Each line is there, and once.
		if !eval[bool](p, `(n => n.every((x, i) => i === 0 || x === n[i - 1] + 1))([...`+one("log-lines")+`.querySelectorAll(".line")].map(l => Number(/token (\d+)/.exec(l.textContent)?.[1])))`) {
			t.Errorf("a log is not whole: %s", p.shows())
		}
	}
	another := profile.window(at)
	another.live()
	windows[0].click(one("panel", " [data-testid='stop']"))
	windows[0].click(one("confirm-yes"))
	another.await(row("worker/"+id) + ` === null`)
	for _, p := range windows {
		p.await(one("log-state") + `.textContent === "the worker has ended"`)
		p.await(`[...document.querySelectorAll("[data-testid='log-lines'] .divider")].map(d => d.textContent.replace(/ at .*/, "")).join() === "the worker has ended"`)
	}
	var all []any
	if w.ask(http.MethodGet, "/api/here/v1/hive/workers", "", &all); len(all) > 0 {
		t.Errorf("there is still %v", all)
	}
}
