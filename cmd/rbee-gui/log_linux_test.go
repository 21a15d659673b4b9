package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// What one takes from a log is all of it, though most of it is not in the document.
func takeLog(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(`{"worker_type":"llm","engine":"chatty"}`)
	p := b.profile(t).first(w.gui.url + "/#/worker/" + id)
	p.live()
	box := one("log-lines")
	p.await(`Number(` + box + `?.dataset.kept) > 4000 && ` + box + `.querySelectorAll(".line").length < 3000`) // most are not in the document

	// A selection stays, and holds the log, also against lines that are drawn before the page
	// is told of it; what is copied of it has no hole.
	eval[chromedp.Void](p, `void (ask => {
		requestAnimationFrame = f => ask(!String(f).includes(".draw()") ? f : at => {
			requestAnimationFrame = ask;
			getSelection().selectAllChildren(`+box+`);
			f(at);
		});
	})(requestAnimationFrame)`)
	p.await(one("log-state") + `.textContent.startsWith("paused, ")`) // and there are new lines
	kept := eval[int](p, `Number(`+box+`.dataset.kept)`)
	eval[any](p, `document.execCommand("copy")`)
	if lines := eval[int](p, `getSelection().toString().split("\n").filter(l => /token \d/.test(l)).length`); lines < kept-2 {
		t.Errorf("%d lines of %d can be copied", lines, kept)
	}
	eval[any](p, `getSelection().removeAllRanges()`)
	p.await(one("log-state") + `.textContent === "following"`)

	// The buttons take all that is kept.
	eval[any](p, `(make => URL.createObjectURL = blob => make.call(URL, taken = blob))(URL.createObjectURL), taken = null`)
	p.click(one("log-download"))
	text := eval[string](p, `taken.text()`)
	if lines := strings.Count(text, "\n"); lines < 4000 || !strings.Contains(text, "Z slot 1: token ") {
		t.Errorf("%d lines are downloaded: %.200s", lines, text)
	}
	p.click(one("log-copy"))
	p.await(one("notes") + `.textContent.includes("Copied ")`)
}

// A log tells of each life that it has lines of, once.
func livesInLog(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(`{"worker_type":"llm","engine":"builtin","model":"demo","id":"worker-lives"}`)
	type worker struct {
		InstanceID string `json:"instance_id"`
		Status     string
	}
	var first worker
	w.ask(http.MethodPost, "/api/here/v1/hive/workers/"+id+"/restart", "", &first)
	for now := []worker{first}; len(now) != 1 || now[0].Status != "ready" || now[0].InstanceID == first.InstanceID; time.Sleep(20 * time.Millisecond) {
		w.ask(http.MethodGet, "/api/here/v1/hive/workers", "", &now)
	}
	p := b.profile(t).first(w.gui.url + "/#/worker/" + id)
	p.live()
	dividers := `[...document.querySelectorAll("[data-testid='log-lines'] .divider")].map(d => d.textContent.replace(/ at .*/, "")).join()`
	p.await(dividers + ` === "started"`)
	p.click(one("panel", " [data-testid='stop']"))
	p.click(one("confirm-yes"))
	p.await(dividers + ` === "started,the worker has ended"`)
	p.await(one("panel") + `.textContent.includes("gone")`)
	p.await(one("log-state") + `.textContent === "the worker has ended"`)
	if now := eval[string](p, dividers); now != "started,the worker has ended" {
		t.Errorf("the log says %s", now)
	}
}
