package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rbee-launch/rbee-launch/internal/program"
)

// TestPage: what people do with the page, in a browser, with real processes.
func TestPage(t *testing.T) {
	b := startBrowser(t, "hide-scrollbars")
	for name, test := range map[string]func(*testing.T, browser){
		"first worker":      firstWorker,
		"queenless chat":    queenlessChat,
		"chat that is cut":  cutChat,
		"followed chat":     followedChat,
		"separate chats":    separateChats,
		"long names":        longNames,
		"pause everywhere":  pauseEverywhere,
		"marked chat":       markedChat,
		"banner over chat":  bannerOverChat,
		"cleared chat":      clearedChat,
		"chat to the left":  chatToTheLeft,
		"filtered picture":  filteredPicture,
		"long model":        longModel,
		"age of the gone":   ageOfGone,
		"queen later":       queenLater,
		"registry restart":  registryRestart,
		"spawn that fails":  failingSpawn,
		"stop":              stopWorker,
		"500 workers":       manyWorkers,
		"fast log":          fastLog,
		"ten tabs":          tenTabs,
		"ten tabs, plain":   plainTabs,
		"many windows":      manyWindows,
		"arguments":         quotedArguments,
		"ended since":       endedSince,
		"plain starts":      plainStarts,
		"keyboard":          keyboard,
		"address":           address,
		"take a log":        takeLog,
		"lives in a log":    livesInLog,
		"reload in a spawn": reloadInSpawn,
		"accessibility":     accessibility,
		"reconnect":         reconnect,
		"no registry":       noRegistry,
		"stopped start":     stoppedStart,
		"another":           another,
		"through the queen": throughQueen,
		"unknown starts":    unknownStarts,
		"log in":            logIn,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
	t.Run("panel on top", panelOnTop)
}

// From an empty cluster to a worker in one press.
func firstWorker(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url)
	p.live()
	p.click(one("empty-cluster", " [data-testid='first-worker']"))
	p.await(one("operation", "[data-status='succeeded']") + ` !== null`)
	p.page("#/cluster")
	p.await(`document.querySelectorAll("[data-testid='row'][data-key^='worker/'][data-status='online']").length === 1`)
	p.await(one("empty-cluster") + ` === null`)
	p.await(one("row", "[data-key^='worker/'] .c-seen") + `.textContent === "now"`)
}

const simulation = `{"worker_type":"llm","engine":"builtin","model":"demo"}`

// Without a queen one talks to a worker all the same.
func queenlessChat(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(simulation)
	p := b.profile(t).first(w.gui.url + "/#/talk/" + id)
	p.live()
	p.await(one("talk-model") + `?.value === "demo"`)
	p.enter(one("chat-input"), "Tell me something.")
	p.click(one("chat-send"))
	p.await(one("chat-stats") + ` !== null && ` + one("chat-stop") + ` === null`)
	if said := eval[string](p, one("turn-assistant")+`.textContent`); !strings.Contains(said, "token") || strings.Count(said, " ") < 5 {
		t.Errorf("it says %q", said)
	}
	if eval[bool](p, one("chat-error")+` !== null`) {
		t.Error("it shows an error")
	}
}

// An answer that breaks off is told as that.
func cutChat(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(`{"worker_type":"llm","engine":"builtin","model":"demo","args":["--tokens-per-second","5"]}`)
	p := b.profile(t).first(w.gui.url + "/#/talk/" + id)
	p.live()
	p.await(one("talk-model") + `?.value === "demo"`)
	p.enter(one("chat-input"), "Tell me a long story.")
	p.click(one("chat-send"))
	p.await(one("turn-assistant") + `?.querySelector(".said").textContent.length > 10`)
	var worker struct{ PID int }
	w.ask(http.MethodGet, "/api/here/v1/hive/workers/"+id, "", &worker)
	if err := syscall.Kill(worker.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.await(one("chat-error") + ` !== null`)
}

// The GUI's worker is made known to a queen that starts later.
func queenLater(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(simulation)
	p := b.profile(t).first(w.gui.url)
	p.live()
	p.await(row("worker/"+id) + ` !== null`)
	queen := w.start(program.QueenName, "--listen=127.0.0.1:0", "--registry-url="+w.registry.url, "--heartbeat-interval=1s")
	p.await(row("queen/queen-rbee") + ` !== null || ` + row("queen/queen") + ` !== null`)
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		body := get(t, queen.url+"/v1/queen/workers")
		if strings.Contains(body, id) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("she knows %s", body)
		}
	}
}

// The registry is killed and comes back under the open page: what was known stays, and
// nobody is told to have left.
func registryRestart(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(simulation)
	w.register("elsewhere")
	p := b.profile(t).first(w.gui.url)
	p.live()
	p.await(row("worker/elsewhere") + ` !== null && ` + row("worker/"+id) + `?.dataset.status === "online"`)
	w.registry.end(syscall.SIGKILL)
	p.await(one("banner-registry", "[data-state='away']") + ` !== null`)
	if !eval[bool](p, row("worker/elsewhere")+` !== null && `+row("worker/"+id)+` !== null`) {
		t.Errorf("what was known is gone: %s", p.shows())
	}
	w.registry = w.start(program.RegistryName, "--listen="+w.registry.addr)
	p.live()
	p.await(one("banner-registry") + ` === null`)
	for end := time.Now().Add(limit); !strings.Contains(get(t, w.registry.url+"/v1/registry/workers"), id); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the worker is not known again")
		}
	}
	p.await(row("worker/"+id) + `?.dataset.status === "online"`)
	p.page("#/events")
	p.await(one("events") + `.textContent.includes("registry")`)
	if text := eval[string](p, one("events")+`.textContent`); strings.Contains(text, id+" left") {
		t.Errorf("it is told as:\n%s", text)
	}
}

// A spawn that fails says why, in the engine's own words.
func failingSpawn(t *testing.T, b browser) {
	w := startWorld(t)
	folder := filepath.Join(w.dir, strings.Repeat("long", 40)) // which the page has to find room for
	page := w.start(program.GUIName, "--listen=127.0.0.1:0", "--registry-url="+w.registry.url, "--models="+folder, "--ports=16600-16999")
	p := b.profile(t).first(page.url + "/#/spawn")
	p.live()
	p.choose(one("spawn-engine"), "failing")
	p.await(one("no-models") + ` !== null`)
	p.fits("a long folder")
	p.click(one("spawn-start"))
	p.await(one("operation", "[data-status='failed']") + ` !== null`)
	if why := eval[string](p, one("failure-reason")+`.textContent`); !strings.Contains(why, "3") {
		t.Errorf("it says why: %q", why)
	}
	if lines := eval[string](p, one("failure-lines")+`.textContent`); !strings.Contains(lines, "there is a hole in the model") {
		t.Errorf("the last lines are %q", lines)
	}
	// What is refused at once is told beside the field.
	p.choose(one("spawn-engine"), "builtin")
	p.enter(one("spawn-model"), "/etc/passwd")
	p.click(one("spawn-start"))
	p.await(one("spawn-model-error") + ` !== null`)
}

// A stopped worker's row goes at once.
func stopWorker(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(simulation)
	p := b.profile(t).first(w.gui.url)
	p.live()
	p.await(row("worker/"+id) + `?.dataset.status === "online"`)
	p.click(row("worker/"+id) + `.querySelector("[data-testid='stop']")`)
	p.await(one("confirm", "[open]") + ` !== null`)
	took := eval[float64](p, fmt.Sprintf(`new Promise(done => {
		const began = performance.now();
		%s.click();
		const look = () => %s === null ? done(performance.now() - began) : setTimeout(look, 10);
		look();
	})`, one("confirm-yes"), row("worker/"+id)))
	within(t, "a stopped worker's row goes", took, 1000, "ms")
	var all []any
	if w.ask(http.MethodGet, "/api/here/v1/hive/workers", "", &all); len(all) > 0 {
		t.Errorf("there is still %v", all)
	}
}

// Ten tabs of one browser are all told what happens, though it gives a server no more
// than six connections.
func tenTabs(t *testing.T, b browser) {
	w := startWorld(t)
	profile := b.profile(t)
	shareOne(t, w, profile, profile.first(w.gui.url), w.gui.url, 2000)
}

// shareOne opens nine more tabs, and wants all of them to be told, whichever of them go; the
// next one leads within so many milliseconds.
func shareOne(t *testing.T, w *world, profile profile, first *tab, at string, takeover float64) {
	t.Helper()
	tabs := []*tab{first}
	for range 9 {
		tabs = append(tabs, profile.another(at))
	}
	for _, p := range tabs {
		p.live()
	}
	w.register("one")
	for _, p := range tabs {
		p.await(row("worker/one") + ` !== null`)
	}
	// Whichever of them has the stream goes in time: each of them, here, but for two.
	for _, p := range tabs[:8] {
		p.check(at)
		p.visit("about:blank")
	}
	began := time.Now()
	w.register("two")
	for _, p := range tabs[8:] {
		p.await(row("worker/two") + ` !== null`)
	}
	within(t, "another tab takes over", float64(time.Since(began).Milliseconds()), takeover, "ms")
	// One that comes back, from where the browser has kept it, is told what it has missed.
	back := tabs[0]
	eval[chromedp.Void](back, `void setTimeout(() => history.back())`)
	back.arrives(at + "/")
	back.await(row("worker/two") + ` !== null`)
	w.register("three")
	for _, p := range append(tabs[8:], back) {
		p.await(row("worker/three") + ` !== null`)
	}
}

// A reload, or another tab, shows the same spawn as it goes on.
func reloadInSpawn(t *testing.T, b browser) {
	w := startWorld(t)
	profile := b.profile(t)
	p := profile.first(w.gui.url + "/#/spawn")
	p.live()
	p.choose(one("spawn-engine"), "builtin")
	p.enter(one("spawn-args"), "--never-ready")
	p.click(one("spawn-start"))
	running := one("operation", "[data-status='running']")
	spawned := running + `?.textContent.includes("pid ")`
	p.await(spawned)
	key := eval[string](p, running+`.dataset.key`)
	p.visit("about:blank")
	p.visit(w.gui.url + "/#/spawn")
	p.await(spawned)
	if again := eval[string](p, running+`.dataset.key`); again != key {
		t.Errorf("it shows %s, not %s", again, key)
	}
	p.click(running + `.querySelector("[data-testid='cancel']")`)
	p.await(one("operation", "[data-key='"+key+"'][data-status='failed']") + ` !== null`)
	p.await(`!document.querySelector("[data-testid='operation'][data-status='running']")`)
}

// The page's own server may be another one when it is back; the page goes on by itself.
func reconnect(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url)
	p.live()
	w.gui.end(syscall.SIGKILL)
	p.await(one("banner-lost") + ` !== null`)
	w.gui = w.startGUI(w.gui.addr)
	p.live()
	p.await(one("banner-lost") + ` === null`)
	w.register("new")
	p.await(row("worker/new") + ` !== null`)
}
