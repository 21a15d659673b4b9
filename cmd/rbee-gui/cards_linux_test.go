package main

import (
	"net/http"
	"slices"
	"strings"
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
