package main

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
)

// A panel that has the whole page has all of it and no more, also where scrollbars take
// room, and what is wrong is told beside it, or in it.
func panelOnTop(t *testing.T) {
	b := startBrowser(t)
	w := startWorld(t)
	for i := range 60 { // which the page behind has to be scrolled for
		w.register(fmt.Sprintf("worker-%d", i))
	}
	p := b.profile(t).first(w.gui.url + "/#/worker/worker-1")
	p.live()
	p.await(one("panel", " [data-testid='address']") + ` !== null`)
	for _, width := range []int64{1280, 1099, 360} {
		p.screen(width, 740)
		p.await(fmt.Sprintf(`innerWidth === %d`, width))
		behind := eval[int](p, `innerWidth - document.documentElement.clientWidth`)
		left, right := eval[float64](p, one("panel")+`.getBoundingClientRect().left`), eval[float64](p, one("panel")+`.getBoundingClientRect().right`)
		if width >= 1100 {
			if behind == 0 {
				t.Error("scrollbars take no room here")
			}
			continue
		}
		if behind != 0 || left != 0 || right != float64(width) {
			t.Errorf("at %d px the panel is from %.0f to %.0f, and a scrollbar of %d px behind it", width, left, right, behind)
		}
	}
	w.registry.end(syscall.SIGKILL)
	for _, width := range []int64{360, 1099, 1100, 1280} {
		p.screen(width, 740)
		p.await(fmt.Sprintf(`innerWidth === %d && `, width) + one("banner-registry") + ` !== null`)
		for _, at := range []string{"r.left + 3", "r.right - 3"} {
			if !eval[bool](p, `(e => (r => e.contains(document.elementFromPoint(`+at+`, r.top + 3)))(e.getBoundingClientRect()))(`+one("banner-registry")+`)`) {
				t.Errorf("at %d px what is wrong can't be seen at %s", width, at)
			}
		}
		p.fits(fmt.Sprintf("a panel at %d", width))
	}
	p.screen(360, 740)
	p.findings(readAxe(t), "a banner in a panel")
}

// One that is gone grows no older.
func ageOfGone(t *testing.T, b browser) {
	w := startWorld(t)
	w.register("other")
	id := w.spawn(simulation)
	p := b.profile(t).first(w.gui.url + "/#/worker/" + id)
	p.live()
	p.await(one("panel", " [data-testid='age']") + ` !== null`)
	var gone any
	w.ask(http.MethodDelete, "/api/here/v1/hive/workers/"+id, "", &gone)
	p.await(one("panel") + `.textContent.includes("gone")`)
	age := one("panel", " [data-testid='age']") + `.textContent`
	was := eval[string](p, age)
	other := row("worker/other") + `.querySelector(".c-age").textContent`
	for range 2 {
		p.await(fmt.Sprintf(`%s !== %q`, other, eval[string](p, other)))
	}
	if is := eval[string](p, age); is != was {
		t.Errorf("its age was %s, and is %s", was, is)
	}
}
