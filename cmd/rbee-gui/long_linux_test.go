package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A start of a model with a long name is no wider than the screen, while it goes on and
// when it is done.
func longModel(t *testing.T, b browser) {
	w := startWorld(t)
	model := strings.Repeat("a", 200)
	w.spawn(`{"worker_type":"llm","engine":"builtin","model":"` + model + `"}`)
	var op any
	w.ask(http.MethodPost, "/api/here/v1/hive/workers", `{"worker_type":"llm","engine":"builtin","model":"`+model+`","args":["--never-ready"]}`, &op)
	p := b.profile(t).first(w.gui.url + "/#/spawn")
	p.live()
	p.await(one("operation", "[data-status='running']") + ` !== null && ` + one("operation", "[data-status='succeeded']") + ` !== null`)
	p.await(one("operation", "[data-status='running']") + `.querySelector("[data-testid='last-line']") !== null`) // which has the name, too
	for _, width := range []int64{1280, 901, 390, 360} {
		p.screen(width, 740)
		p.await(fmt.Sprintf(`innerWidth === %d`, width))
		p.fits(fmt.Sprintf("a start at %d", width))
	}
}
