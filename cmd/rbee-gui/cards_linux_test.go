package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Arguments with spaces and quotes in them are another's, too, and stay what they are.
func quotedArguments(t *testing.T, b browser) {
	w := startWorld(t)
	want := []string{"--lines", "0", "two words", "it's"}
	id := w.spawn(`{"worker_type":"llm","engine":"parrot","args":["--lines","0","two words","it's"]}`)
	p := b.profile(t).first(w.gui.url)
	p.live()
	p.click(row("worker/"+id) + `?.querySelector("[data-testid='another']")`)
	p.await(one("spawn-args") + `?.value === ` + "`--lines 0 'two words' \"it's\"`")

	// A quote that is not closed is told beside the field, and starts nothing.
	p.enter(one("spawn-args"), `--lines 0 'two words`)
	p.click(one("spawn-start"))
	p.await(one("spawn-args-error") + `?.textContent === "A single quote is not closed: 'two words" && document.activeElement === ` + one("spawn-args"))
	p.enter(one("spawn-args"), `--lines 0 'two words' it\'s`)
	p.click(one("spawn-start"))
	p.await(`document.querySelectorAll("[data-testid='operation'][data-status='succeeded']").length === 2`)
	var all []struct{ Request struct{ Args []string } }
	w.ask(http.MethodGet, "/api/here/v1/hive/operations", "", &all)
	for _, op := range all {
		if !slices.Equal(op.Request.Args, want) {
			t.Errorf("it is started with %s", strings.Join(op.Request.Args, "|"))
		}
	}
}

// A card leads to the worker that was started, and to no other that has its id later.
func endedSince(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(simulation)
	p := b.profile(t).first(w.gui.url + "/#/spawn")
	p.live()
	card := p.card("succeeded")
	p.await(card + `.querySelector("[data-testid='operation-talk']") !== null && ` + card + `.querySelector("[data-testid='operation-ago']").textContent.endsWith(" ago")`)
	var answer any
	w.ask(http.MethodDelete, "/api/here/v1/hive/workers/"+id, "", &answer)
	ended := func(text string) string {
		return fmt.Sprintf(`(c => c?.querySelector("[data-testid='operation-ended']")?.textContent === %q && c.querySelector("[data-testid='status']").textContent === "ended" &&
			c.querySelector("a, [data-testid='operation-talk'], [data-testid='operation-show']") === null && c.querySelector("[data-testid='again']") !== null)`, text)
	}
	p.await(ended(id+" has ended since.") + `(` + card + `)`)
	if again := w.spawn(`{"worker_type":"llm","engine":"builtin","model":"demo","port":` + id[len("worker-llm-"):] + `}`); again != id {
		t.Fatalf("the next one is %s, not %s", again, id)
	}
	p.visit("about:blank")
	p.visit(w.gui.url + "/#/spawn")
	p.live()
	all := `[...document.querySelectorAll("[data-testid='operation']")]`
	p.await(all + `.length === 2 && ` + ended(id+" has ended since, and another instance has its id.") + `(` + all + `[1]) && ` + all + `[0].querySelector("[data-testid='operation-talk']") !== null`)
}

// What a start prints and says is for people: without a terminal's codes, and without
// errors while there is none.
func plainStarts(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url + "/#/spawn")
	p.live()
	p.choose(one("spawn-engine"), "failing")
	p.click(one("spawn-start"))
	p.await(one("failure-lines") + `?.textContent.split("\n").sort().join() === "reading the model,there is a hole in the model" && ` + one("failure-lines", " .fg-1") + `?.textContent === "a hole"`)
	p.choose(one("spawn-engine"), "silent")
	p.click(one("spawn-start"))
	running := one("operation", "[data-status='running']")
	p.await(running + ` !== null && ` + one("waiting") + `?.textContent === "It does not answer yet." && ` + one("waiting") + `.title.includes("refused")`)
	p.await(one("last-line") + `?.textContent === "reading the model"`)
	p.page("#/cluster")
	p.await(one("summary") + `?.textContent === "Workers1 on its way"`)
	p.page("#/spawn")
	p.await(running + ` !== null`)

	// That the page's server is away is said once.
	w.gui.end(syscall.SIGKILL)
	p.await(one("banner-lost") + ` !== null`)
	p.page("#/cluster")
	p.page("#/spawn") // asks anew
	p.await(running + ` !== null`)
	eval[any](p, `fetch("/api/here/v1/hive/operations").catch(() => new Promise(requestAnimationFrame))`) // as the page's own have by then
	said := `document.body.innerText.match(/rbee-gui does not answer|Failed to fetch|not known at the moment/g).join()`
	if now := eval[string](p, said); now != "rbee-gui does not answer" {
		t.Errorf("it says %s", now)
	}
}
