package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/rbee-launch/rbee-launch/registry"
)

// parrot answers a conversation with what was said last, at the pace of a model; "What was said?"
// with all that it was sent, and "Say nothing." with nothing.
func parrot(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		return // it is well
	}
	var asked struct {
		Messages []struct{ Role, Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked.Messages) == 0 {
		http.Error(w, "nothing is said", http.StatusBadRequest)
		return
	}
	said := asked.Messages[len(asked.Messages)-1].Content
	switch said {
	case "What was said?":
		all, _ := json.Marshal(asked.Messages)
		said = string(all)
	case "Say nothing.":
		said = ""
	}
	w.Header().Set("Content-Type", "text/event-stream")
	pace := time.NewTicker(20 * time.Millisecond) // a frame of the browser's, at least
	defer pace.Stop()
	const piece = 50
	for i := 0; i < len(said); i += piece {
		delta, _ := json.Marshal(said[i:min(i+piece, len(said))])
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%s}}]}\n\n", delta)
		_ = http.NewResponseController(w).Flush()
		<-pace.C
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

const parrots = `{"worker_type":"llm","engine":"parrot"}`

// screen gives the tab the size of one.
func (b *tab) screen(width, height int64) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// says sends a message, and waits until it is answered.
func (b *tab) says(message string) {
	b.t.Helper()
	b.await(one("chat-input") + ` !== null`)
	before := eval[int](b, `document.querySelectorAll("[data-testid='chat-stats']").length`)
	b.enter(one("chat-input"), message)
	b.await(one("chat-send", ":not([aria-disabled])") + ` !== null`)
	b.click(one("chat-send"))
	b.await(fmt.Sprintf(`document.querySelectorAll("[data-testid='chat-stats']").length > %d && %s === null`, before, one("chat-stop")))
}

// A conversation shows its end, as it grows, unless one scrolls up in it, and then again
// when one says something. What is wide in it widens nothing else.
func followedChat(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url + "/#/talk/" + w.spawn(parrots))
	p.screen(1280, 800)
	p.live()
	end := `(b => b.scrollHeight - b.scrollTop - b.clientHeight)(` + one("chat-output") + `)`
	code := "Look:\n```\n" + strings.Repeat("wide", 100) + "\n```\nThat is it."
	for i := range 8 {
		p.says(code)
		if far := eval[float64](p, end); far > 2 {
			t.Errorf("after %d messages the end is %.0f px away", i+1, far)
		}
	}
	if wide := eval[float64](p, `(b => b.scrollWidth - b.clientWidth)(`+one("chat-output")+`)`); wide > 0 {
		t.Errorf("the conversation is %.0f px too wide", wide)
	}
	if !eval[bool](p, one("chat-output")+`.scrollTop > 600`) {
		t.Error("there is nothing to scroll")
	}
	up := one("chat-output") + `.scrollTop`
	eval[float64](p, up+` = 100`)
	p.screen(1280, 700) // two frames at least, in which nothing is to scroll it back
	p.await(`innerHeight === 700`)
	if at := eval[float64](p, up); at != 100 {
		t.Errorf("who has scrolled up to 100 is at %.0f", at)
	}
	p.says("And now?")
	p.await(end + ` <= 2`)
}

// What is said to one worker is sent to no other, and one comes back to whom one has
// talked to.
func separateChats(t *testing.T, b browser) {
	w := startWorld(t)
	first, second := w.spawn(parrots), w.spawn(parrots)
	p := b.profile(t).first(w.gui.url + "/#/talk/" + second)
	p.live()
	p.await(one("talk-worker") + fmt.Sprintf(`?.value === %q`, second))
	p.says("A secret.")
	p.click(one("nav-cluster"))
	p.await(one("chat-output") + ` === null`)
	p.click(one("nav-talk"))
	p.await(fmt.Sprintf(`location.hash === "#/talk/%s" && `, second) + one("turn-assistant") + `?.textContent.includes("A secret.") === true`)

	p.page("#/worker/" + first)
	p.click(one("panel", " [data-testid='talk']"))
	p.await(one("talk-worker") + fmt.Sprintf(`?.value === %q && `, first) + one("turn-assistant") + ` === null`)
	p.says("What was said?")
	if said := eval[string](p, one("turn-assistant", " .said")+`.textContent`); strings.Contains(said, "secret") {
		t.Errorf("%s was sent %s", first, said)
	}

	p.choose(one("talk-worker"), second)
	p.says("What was said?")
	const last = `[...document.querySelectorAll("[data-testid='turn-assistant'] .said")].at(-1).textContent`
	if said := eval[string](p, last); strings.Count(said, "A secret.") != 2 {
		t.Errorf("%s was sent %s", second, said)
	}
	p.do(chromedp.Reload())
	p.await(one("chat-input") + ` !== null && ` + one("talk-none") + ` === null`)
	p.await(`document.querySelectorAll("[data-testid='turn-assistant']").length === 2`)

	// A worker that goes is not replaced by another.
	var gone any
	w.ask(http.MethodDelete, "/api/here/v1/hive/workers/"+second, "", &gone)
	p.await(one("talk-none") + `?.textContent.includes("is not online") === true`)
	p.enter(one("chat-input"), "Another secret.")
	eval[chromedp.Void](p, one("chat-send")+`.click()`)
	if eval[int](p, `document.querySelectorAll("[data-testid='turn-user']").length`) != 2 {
		t.Error("something was sent")
	}
}

// Names as long as they may be push nothing out of its place, on any screen, and models
// can be read in the table.
func longNames(t *testing.T, b browser) {
	w := startWorld(t)
	id := "worker-llm-8080@" + strings.Repeat("gpu-node-17.", 9) + "com"
	for _, c := range []registry.Component{
		{Kind: registry.Worker, ID: id, InstanceID: "i", Hostname: strings.Repeat("gpu-node-17.", 9) + "com", Port: 8080, WorkerType: "llm", Model: strings.Repeat("qwen3-8b-", 12) + "q4"},
		{Kind: registry.Hive, ID: "hive-" + strings.Repeat("gpu-node-18.", 9) + "com", InstanceID: "i", Hostname: "box", Port: 7835},
	} {
		if _, err := w.client().Register(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	p := b.profile(t).first(w.gui.url)
	p.live()
	for _, hash := range []string{"#/worker/" + id, "#/talk/" + id, "#/events", "#/spawn", "#/cluster"} {
		p.page(hash)
		for _, width := range []int64{360, 760, 1041, 1241, 1280, 1366, 1440, 1500} {
			p.screen(width, 800)
			p.await(fmt.Sprintf(`innerWidth === %d`, width))
			p.fits(fmt.Sprintf("%.20s at %d", hash, width))
			if hash != "#/cluster" {
				continue
			}
			p.await(row("worker/"+id) + ` !== null`)
			for _, what := range eval[[]string](p, `[...document.querySelectorAll(".tile-name, .group-head .node-title")]
				.filter(e => e.getBoundingClientRect().right > e.closest(".group").getBoundingClientRect().right)
				.map(e => e.className)`) {
				t.Errorf("at %d px %s runs out of its box", width, what)
			}
			if eval[bool](p, row("worker/"+id)+`.querySelector(".c-name").getBoundingClientRect().right > `+row("worker/"+id)+`.querySelector(".c-status").getBoundingClientRect().left && innerWidth <= 760`) {
				t.Errorf("at %d px the name is over the status", width)
			}
			if model := eval[float64](p, row("worker/"+id)+`.querySelector(".c-model").clientWidth - 20`); model < 160 {
				t.Errorf("at %d px the model has %.0f px", width, model)
			}
		}
	}
}

// What one writes into is on the screen, also below a banner.
func bannerOverChat(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url + "/#/talk/" + w.spawn(parrots))
	p.live()
	p.says("Hello.")
	w.registry.end(syscall.SIGKILL)
	p.await(one("banner-registry") + ` !== null`)
	for _, s := range [][2]int64{{1280, 800}, {360, 740}} {
		p.screen(s[0], s[1])
		p.await(fmt.Sprintf(`innerWidth === %d`, s[0]))
		for _, what := range []string{one("chat-input"), one("chat-send")} {
			if end := eval[float64](p, what+`.getBoundingClientRect().bottom`); end > float64(s[1]) {
				t.Errorf("at %d px %s ends at %.0f of %d", s[0], what, end, s[1])
			}
		}
		if height := eval[float64](p, one("chat-output")+`.clientHeight`); height < 100 {
			t.Errorf("at %d px the conversation has %.0f px", s[0], height)
		}
		p.fits(fmt.Sprintf("talk at %d", s[0]))
	}
}

// A pause is told, and can be ended, on every page.
func pauseEverywhere(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url)
	p.screen(360, 740)
	p.live()
	p.click(one("pause"))
	p.await(one("resume") + ` !== null`)
	id := w.spawn(parrots)
	p.page("#/talk")
	p.await(one("talk-none") + ` !== null`)
	p.fits("a pause at 360")
	eval[chromedp.Void](p, one("resume")+`.focus()`)
	p.click(one("resume"))
	p.await(one("resume") + ` === null && ` + one("talk-worker") + fmt.Sprintf(`.value === %q`, id))
	if on := eval[string](p, `document.activeElement.tagName`); on != "A" {
		t.Errorf("the focus is on %s", on)
	}
}

// An answer is drawn as it was meant, and whatever is in it, nothing of it is run.
func markedChat(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url + "/#/talk/" + w.spawn(parrots))
	p.live()
	p.says("# Title\n\nSome **bold**, `code`.\n\n- one\n- two\n\n```html\n<b>no</b>\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n" +
		"<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>\n\n[bad](javascript:alert(1)) [good](https://example.org/)")
	found := eval[string](p, `(e => [...e.querySelectorAll("h3, strong, code, li, pre, td, script, img, a")]
		.map(x => x.localName + ":" + x.textContent + (x.localName === "a" ? x.href + x.rel : "")).join(" "))(`+one("turn-assistant", " .said")+`)`)
	const want = "h3:Title strong:bold code:code li:one li:two pre:<b>no</b> code:<b>no</b> td:1 td:2 a:goodhttps://example.org/noreferrer"
	if found != want {
		t.Errorf("there is\n%s, not\n%s", found, want)
	}
	if eval[bool](p, `"ran" in window`) {
		t.Error("something of it was run")
	}
	for _, width := range []int64{1280, 360} {
		p.screen(width, 740)
		p.await(fmt.Sprintf(`innerWidth === %d`, width))
		p.fits("an answer")
		p.findings(readAxe(t), "an answer")
	}
	p.says("Say nothing.")
	p.await(one("chat-empty") + ` !== null`)
	w.gui.end(syscall.SIGKILL)
	p.enter(one("chat-input"), "Are you there?")
	p.click(one("chat-send"))
	p.await(one("chat-error") + `?.textContent === "rbee-gui does not answer"`)
}
