package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rbee-launch/rbee-launch/internal/program"
)

// card is the one start that the page shows.
func (b *tab) card(status string) string {
	b.t.Helper()
	card := one("operation", "[data-status='"+status+"']")
	b.await(card + ` !== null && document.querySelectorAll("[data-testid='operation']").length === 1`)
	return card
}

// steps is what the card says of each step.
func steps(card string) string {
	return `[...` + card + `.querySelectorAll("[data-testid='spawn-progress'] li")].map(l => l.className + " " + l.innerText.replace(/\s+/g, " ").trim()).join("; ")`
}

// Without a registry all is well, and nobody is said to be registered.
func noRegistry(t *testing.T, b browser) {
	w := startWorld(t)
	page := w.start(program.GUIName, "--listen=127.0.0.1:0", "--registry-url=", "--queen-url=", "--stop-workers", "--ports=16600-16999")
	p := b.profile(t).first(page.url)
	p.await(one("connection", "[data-state='live'][data-registry='none']") + `?.textContent === "live"`)
	p.await(one("node-registry", "[data-status='none']") + ` !== null`)
	if eval[bool](p, one("banner-registry")+` !== null`) {
		t.Errorf("it is told as trouble: %s", p.shows())
	}
	p.click(one("first-worker"))
	card := p.card("succeeded")
	p.await(steps(card) + `.endsWith("later Registered later no registry")`)
	p.page("#/events")
	p.await(one("event", "[data-what='started']") + ` !== null`)
	if eval[bool](p, one("event", "[data-what='registered']")+` !== null`) {
		t.Errorf("it is told as registered: %s", p.shows())
	}
}

// Who stops a start is not told of a failure, nor of another one after a reload.
func stoppedStart(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url + "/#/spawn")
	p.live()
	p.choose(one("spawn-engine"), "builtin")
	p.enter(one("spawn-args"), "--never-ready")
	p.click(one("spawn-start"))
	card := p.card("running")
	p.await(card + `?.textContent.includes("pid ")`)
	p.click(card + `.querySelector("[data-testid='cancel']")`)
	card = p.card("failed")
	p.await(card + `.querySelector("[data-testid='status']").textContent === "stopped" && ` + card + `.querySelector(".bad, .failed, .bad-text") === null`)
	said := eval[string](p, steps(card))
	id := eval[string](p, card+`.querySelector("h3").textContent`)
	if port := id[len("worker-llm-"):]; w.spawn(`{"worker_type":"llm","engine":"builtin","model":"demo","port":`+port+`}`) != id {
		t.Errorf("the next one is not %s", id)
	}
	p.visit("about:blank")
	p.visit(w.gui.url)
	p.await(row("worker/"+id) + `?.querySelector(".c-seen").textContent === "now"`) // it is registered
	p.page("#/spawn")
	p.await(one("operation", "[data-status='succeeded']") + ` !== null && ` + card + ` !== null && ` + steps(card) + fmt.Sprintf(` === %q`, said))
}

// Another like one has its arguments.
func another(t *testing.T, b browser) {
	w := startWorld(t)
	id := w.spawn(`{"worker_type":"llm","engine":"builtin","model":"demo","args":["--tokens-per-second","50"]}`)
	w.located("/api/here/v1/hive/operations/")
	p := b.profile(t).first(w.gui.url)
	p.live()
	p.click(row("worker/"+id) + `?.querySelector("[data-testid='another']")`)
	p.await(one("spawn-args") + `?.value === "--tokens-per-second 50" && ` + one("spawn-model") + `.value === "demo"`)
}

// A start through the queen is one, and stays the same over a life of the page's server.
func throughQueen(t *testing.T, b browser) {
	w := startWorld(t)
	w.start(program.QueenName, "--listen=127.0.0.1:0", "--registry-url="+w.registry.url)
	w.start(program.HiveName, "--listen=127.0.0.1:0", "--registry-url="+w.registry.url, "--id=box1", "--advertise=localhost", "--stop-workers", "--ports=16600-16999")
	p := b.profile(t).first(w.gui.url + "/#/spawn")
	p.live()
	p.choose(one("spawn-where"), "/api/queen")
	p.choose(one("spawn-engine"), "builtin") // which her hive has
	p.enter(one("spawn-model"), "demo")
	p.click(one("spawn-start"))
	card := p.card("succeeded")
	known := `.includes("done Registered done registry") || ` + steps(card) + `.includes("done Registered done queen")`
	p.await(steps(card) + known)
	w.located("/api/hives/box1/v1/hive/operations/")
	w.located("/api/queen/v1/queen/operations/")
	took := eval[string](p, one("operation-seconds")+`.textContent`)
	w.gui.end(syscall.SIGKILL)
	p.await(one("banner-lost") + ` !== null`)
	w.gui = w.startGUI(w.gui.addr)
	p.visit("about:blank")
	p.visit(w.gui.url + "/#/spawn")
	p.live()
	p.await(one("no-starts") + ` === null`)
	p.card("succeeded")
	p.await(steps(card) + known)
	if again := eval[string](p, one("operation-seconds")+`.textContent`); again != took {
		t.Errorf("it took %s, and is said to have taken %s", took, again)
	}
}

// located fails unless there is an operation below a path, and its events are where it says.
func (w *world) located(path string) {
	w.t.Helper()
	var all []struct {
		ID        string `json:"operation_id"`
		EventsURL string `json:"events_url"`
	}
	w.ask(http.MethodGet, strings.TrimSuffix(path, "/"), "", &all)
	if len(all) != 1 || all[0].EventsURL != path+all[0].ID+"/events" {
		w.t.Fatalf("below %s there is %v", path, all)
	}
	if text := get(w.t, w.gui.url+all[0].EventsURL); !strings.Contains(text, "event: end\n") {
		w.t.Errorf("%s tells %s", all[0].EventsURL, text)
	}
}

// While the page's server is away nobody knows what was started.
func unknownStarts(t *testing.T, b browser) {
	w := startWorld(t)
	p := b.profile(t).first(w.gui.url)
	p.live()
	w.gui.end(syscall.SIGKILL)
	p.await(one("banner-lost") + ` !== null`)
	p.page("#/spawn")
	p.await(one("starts-unknown") + ` !== null && ` + one("no-starts") + ` === null`)
	w.gui = w.startGUI(w.gui.addr)
	p.live()
	p.await(one("no-starts") + ` !== null && ` + one("starts-unknown") + ` === null`)
}

// From another machine a browser is asked for the token, also when that has changed.
func logIn(t *testing.T, b browser) {
	host, axe := ownAddress(t), readAxe(t)
	w := startWorld(t)
	file := filepath.Join(w.dir, "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	args := []string{"--registry-url=" + w.registry.url, "--queen-url=", "--token-file=" + file}
	page := w.start(program.GUIName, append(args, "--listen="+net.JoinHostPort(host, "0"))...)
	if !strings.Contains(page.text(), file) {
		t.Errorf("it does not name the token's file: %s", page.text())
	}
	p := b.profile(t).first(page.url + "/")
	field := `document.getElementById("token")`
	login := func(token string) {
		p.comesTo(field + ` !== null`)
		p.enter(field, token)
		p.click(`document.querySelector("form button")`)
	}
	login("wrong")
	p.comesTo(`document.querySelector("[role='alert']")?.textContent === "That is not the token."`)
	p.findings(axe, "login")
	login("first")
	p.comesTo(one("connection") + ` !== null`)
	p.live()
	page.end(syscall.SIGTERM)
	p.await(one("banner-lost") + ` !== null`)
	write("second")
	w.start(program.GUIName, append(args, "--listen="+page.addr)...)
	p.await(one("banner-login") + ` !== null`)
	p.findings(axe, "logged out")
	p.click(one("login"))
	login("second")
	p.comesTo(one("connection") + ` !== null`)
	p.live()
}

// comesTo is await while the tab may be on its way to another page.
func (b *tab) comesTo(condition string) {
	b.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("("+condition+") === true")); err == nil && is {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("waiting for %s; the page shows:\n%s", condition, b.shows())
		}
	}
}

// ownAddress is one of this machine's that is not loopback.
func ownAddress(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}
