package main

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// The address says what is shown, and the way back leads to what one has left.
func address(t *testing.T, b browser) {
	w := startWorld(t)
	for i := range 100 {
		w.register(fmt.Sprintf("z-%03d", i))
	}
	p := b.profile(t).first(w.gui.url)
	p.live()
	p.await(`Number(document.documentElement.dataset.shown) > 100`)

	// Another page begins at its top.
	eval[any](p, `scrollTo(0, 1500)`)
	p.await(row("worker/z-040") + ` !== null`)
	p.page("#/events")
	p.await(one("event") + ` !== null && scrollY === 0`)
	eval[chromedp.Void](p, `void setTimeout(() => history.back())`)
	p.await(row("worker/z-040") + ` !== null && scrollY === 1500`)

	// A panel leaves it as it is, and closing it is the way back.
	p.click(row("worker/z-040") + `.querySelector("a")`)
	p.await(one("panel") + ` !== null && scrollY === 1500`)
	steps := eval[int](p, `history.length`)
	p.click(one("panel-close"))
	p.await(one("panel") + ` === null && scrollY === 1500`)
	if now := eval[int](p, `history.length`); now != steps {
		t.Errorf("to close the panel is a step: %d, after %d", now, steps)
	}

	// What is typed beside a panel is in the address, and in that after it.
	p.click(row("worker/z-040") + `.querySelector("a")`)
	p.enter(one("filter"), "z-04")
	p.await(`location.hash === "#/worker/z-040?q=z-04"`)
	p.visit("about:blank")
	p.visit(w.gui.url + "/#/worker/z-040?q=z-04")
	p.await(one("filter") + `?.value === "z-04"`)
	p.click(row("worker/z-041") + `.querySelector("a")`)
	p.await(`location.hash === "#/worker/z-041?q=z-04"`)
	p.click(one("panel-close"))
	p.await(one("panel") + ` === null && location.hash === "#/cluster?q=z-04"`)
}
