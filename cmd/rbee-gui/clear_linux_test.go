package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// place is where an element is, in px.
func (b *tab) place(element string) string {
	b.t.Helper()
	return eval[string](b, `(r => [r.x, r.y, r.width, r.height].map(Math.round).join())(`+element+`.getBoundingClientRect())`)
}

// Send and Stop are in one place, and what clears the conversation is in another; and that
// can be undone.
func clearedChat(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url + "/#/talk/" + w.spawn(parrots))
	p.live()
	for _, s := range [][2]int64{{1440, 900}, {360, 740}} {
		p.screen(s[0], s[1])
		p.await(fmt.Sprintf(`innerWidth === %d && `, s[0]) + one("chat-send") + ` !== null`)
		before := p.place(one("chat-send"))
		p.enter(one("chat-input"), strings.Repeat("A long story. ", 10_000))
		p.await(one("chat-send", ":not([aria-disabled])") + ` !== null`)
		p.click(one("chat-send"))
		p.await(one("turn-assistant", " .said") + `?.textContent.length > 0`)
		if during := p.place(one("chat-stop")); during != before {
			t.Errorf("at %d px Stop is at %s, Send at %s", s[0], during, before)
		}
		p.click(one("chat-clear")) // says why not
		p.click(one("chat-stop"))
		p.await(one("chat-send") + ` !== null`)
		if after := p.place(one("chat-send")); after != before {
			t.Errorf("at %d px Send is at %s, was at %s", s[0], after, before)
		}
		if !eval[bool](p, `((a, b) => a.bottom < b.top)(`+one("chat-clear")+`.getBoundingClientRect(), `+one("chat-input")+`.getBoundingClientRect())`) {
			t.Errorf("at %d px Clear is at %s", s[0], p.place(one("chat-clear")))
		}
		p.fits(fmt.Sprintf("talk at %d", s[0]))

		p.click(one("chat-clear"))
		p.await(one("turn-user") + ` === null && ` + one("chat-clear") + ` === null`)
		p.findings(readAxe(t), "cleared")
		p.click(one("chat-undo"))
		p.await(`document.querySelectorAll("[data-testid^='turn-']").length === 2 && ` + one("chat-undo") + ` === null`)
		p.click(one("chat-clear"))
		p.await(one("chat-undo") + ` !== null`)
		p.says("Something else.")
		p.await(one("chat-undo") + ` === null`)
		p.click(one("chat-clear"))
		p.await(one("chat-undo") + ` !== null`)
		p.do(chromedp.Reload())
		p.await(one("chat-input") + ` !== null && ` + one("talk-none") + ` === null && ` + one("chat-undo") + ` === null`)
	}
}

// What is written from the right to the left is shown so, line by line, and code is not.
func chatToTheLeft(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url + "/#/talk/" + w.spawn(parrots))
	p.live()
	p.enter(one("chat-input"), "שלום!")
	if way := eval[string](p, `getComputedStyle(`+one("chat-input")+`).direction`); way != "rtl" {
		t.Errorf("it is written %s", way)
	}
	p.says("שלום `make`!\n\n- אחת\n\nEnglish.\n\n```\nmake\n```\n\n| א | ב |\n|---|---|\n| 1 | 2 |")
	found := eval[string](p, `(e => [...e.querySelectorAll("p, li, code, pre, td:first-child")].map(x => x.localName + " " + getComputedStyle(x).direction).join())(`+
		one("turn-assistant", " .said")+`)`)
	if want := "p rtl,code ltr,li rtl,p ltr,pre ltr,code ltr,td rtl"; found != want {
		t.Errorf("there is %s, not %s", found, want)
	}
	if way := eval[string](p, `getComputedStyle(`+one("turn-user", " .said")+`).direction`); way != "rtl" {
		t.Errorf("what was said is shown %s", way)
	}
}
