package main

import (
	"fmt"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
)

// A link with a filter shows what it is about: the picture has what matches, and however
// large it is, filter and rows are in view.
func filteredPicture(t *testing.T, b browser) {
	w := startWorld(t)
	c := w.client()
	for i := range 300 {
		host := fmt.Sprintf("gpu-node-%02d", i%30)
		if _, err := c.Register(t.Context(), registry.Component{
			Kind: registry.Worker, ID: fmt.Sprintf("worker-%03d@%s", i, host), InstanceID: "i", Hostname: host, Port: 8000 + i, WorkerType: "llm",
		}); err != nil {
			t.Fatal(err)
		}
	}
	inView := func(p *tab, what string) {
		t.Helper()
		if end := eval[float64](p, what+`.getBoundingClientRect().bottom`); end > eval[float64](p, `innerHeight`) {
			t.Errorf("%s is at %.0f", what, end)
		}
	}
	tiles := `document.querySelectorAll("[data-testid='tile']").length`
	p := b.profile(t).first(w.gui.url + "/#/cluster?q=gpu-node")
	p.screen(1440, 900)
	p.live()
	p.await(tiles + ` === 300 && ` + one("row") + ` !== null`)
	inView(p, one("filter"))
	inView(p, one("row"))
	p.fits("a large picture")
	if wide := eval[float64](p, `(t => t.getBoundingClientRect().right - t.querySelector("td.c-actions").getBoundingClientRect().right)(`+one("components")+`)`); wide > 2 {
		t.Errorf("beside the rows %.0f px are empty", wide)
	}
	p.findings(readAxe(t), "a large picture")

	p.page("#/cluster")
	p.await(one("filter") + `.value === ""`)
	was := p.place(one("filter"))
	p.enter(one("filter"), "node-07 status:online")
	p.await(tiles + ` === 10 && document.querySelectorAll("[data-testid='group']").length === 1`)
	if is := p.place(one("filter")); is != was {
		t.Errorf("the filter was at %s when it was written into, and is at %s", was, is)
	}
	p.enter(one("filter"), "worker-007")
	p.await(one("group") + `?.textContent.includes("1 of 10 workers") === true`)
	p.enter(one("filter"), "nobody")
	p.await(one("group") + ` === null && ` + one("no-match") + ` !== null`)
	p.enter(one("filter"), "")
	p.await(tiles + ` === 300`)
}
