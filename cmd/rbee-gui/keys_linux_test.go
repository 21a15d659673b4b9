package main

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
)

// press presses a key as a keyboard does.
func (b *tab) press(key string) {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: key, Code: key, WindowsVirtualKeyCode: map[string]int64{"ArrowDown": 40, "ArrowUp": 38, "Escape": 27}[key]})
	}
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// The focus of the keyboard is never lost, and never where it can't be seen.
func keyboard(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(simulation)
	for i := range 100 {
		w.register(fmt.Sprintf("z-%03d", i))
	}
	p := b.profile(t).first(w.gui.url)
	p.size(1280, 800)
	p.live()
	p.await(`Number(document.documentElement.dataset.shown) > 100`)
	link := func(id string) string { return row("worker/"+id) + `?.querySelector("a")` }
	on := func(id string) string { return link(id) + ` === document.activeElement` }

	// What it was on goes: it is on what comes next.
	p.await(row("worker/"+id) + `?.dataset.status === "online"`)
	stop := row("worker/"+id) + `.querySelector("[data-testid='stop']")`
	eval[any](p, stop+`.focus()`)
	p.click(stop)
	p.click(one("confirm-yes"))
	p.await(row("worker/"+id) + ` === null`)
	p.await(on("z-000"))

	// With the arrows down and up again, it can be seen at each step.
	const seen = `(({top, bottom}) => top >= document.querySelector("thead th").getBoundingClientRect().bottom && bottom <= innerHeight)(document.activeElement.getBoundingClientRect())`
	for range 40 {
		p.press("ArrowDown")
	}
	p.await(on("z-040"))
	for i := 39; i >= 20; i-- {
		p.press("ArrowUp")
		p.await(on(fmt.Sprintf("z-%03d", i)))
		if !eval[bool](p, seen) {
			t.Errorf("the focus on row %d can't be seen", i)
		}
	}

	// From the filter it goes to the first row that it shows, also where that is not drawn.
	eval[any](p, `scrollTo(0, document.body.scrollHeight)`)
	p.enter(one("filter"), "z-0")
	eval[any](p, one("filter")+`.focus()`)
	p.press("ArrowDown")
	p.await(on("z-000"))
	p.enter(one("filter"), "")
	for range 20 {
		p.press("ArrowDown")
	}
	p.await(on("z-020"))

	// Far away it is still where it was, and goes on from there.
	eval[any](p, `scrollTo(0, document.body.scrollHeight)`)
	p.await(row("worker/z-099") + ` !== null && ` + row("worker/z-060") + ` === null`)
	p.await(on("z-020"))
	p.press("ArrowDown")
	p.await(on("z-021"))

	// The panel opens beside what was just scrolled to, and covers nothing that can be reached.
	const frames = `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))`
	to := eval[float64](p, `(scrollBy(0, 40), document.activeElement.click(), scrollY)`)
	p.await(one("panel") + ` !== null`)
	if now := eval[float64](p, frames+`.then(() => scrollY)`); now != to {
		t.Errorf("scrolled to %v, it is at %v when the panel has opened", to, now)
	}
	if !eval[bool](p, `document.getElementById("main").getBoundingClientRect().right <= `+one("panel")+`.getBoundingClientRect().left`) {
		t.Error("the panel covers the page")
	}
	p.size(1000, 800)
	p.await(`document.getElementById("main").inert`)
	p.press("Escape")
	p.await(one("panel") + ` === null && !document.getElementById("main").inert`)
	p.await(on("z-021"))

	// A start that is cancelled takes its button along.
	p.page("#/spawn")
	p.choose(one("spawn-engine"), "builtin")
	p.enter(one("spawn-args"), "--never-ready")
	p.click(one("spawn-start"))
	eval[any](p, `new Promise(done => { const look = () => { const c = `+one("cancel")+`; c ? done(c.focus()) : setTimeout(look, 20) }; look() })`)
	p.click(one("cancel"))
	p.await(one("operation", "[data-status='failed']") + ` !== null`)
	p.await(one("cancel") + ` === null && document.activeElement !== document.body`)
	if !eval[bool](p, one("operation")+`.contains(document.activeElement)`) {
		t.Error("the focus has left the start that was cancelled")
	}
}
