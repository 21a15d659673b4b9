package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	browserlog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is one Chromium, which all tests share; each has a profile of its own in it.
type browser struct{ ctx context.Context }

// startBrowser runs one until the test ends. Where there is none the test is skipped, in CI
// it fails. Flags are those that it has besides what all have.
func startBrowser(t *testing.T, flags ...string) browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("RBEE_CI") == "1" {
			t.Fatal("chromium is not installed, and CI is to test the page in it")
		}
		t.Skip("chromium is not installed")
	}
	dir, err := os.MkdirTemp("", "rbee-gui-browser-")
	if err != nil {
		t.Fatal(err)
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.WindowSize(1280, 900)}
	for _, flag := range append(flags,
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "no-default-browser-check", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-extensions", "disable-dev-shm-usage", "no-proxy-server",
		// Tabs that nobody looks at are as fast as the others, or tests of ten would measure that.
		"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
	) {
		options = append(options, chromedp.Flag(flag, true))
	}
	options = append(options, chromedp.Flag("host-resolver-rules", "MAP "+plainHost+" 127.0.0.1"))
	alloc, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, leave := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // closes it in good order; stop kills it
		leave()
		stop()
		removeAll(t, dir)
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return browser{ctx}
}

// removeAll removes the browser's folder, into which its processes write until they are gone.
func removeAll(t *testing.T, dir string) {
	var err error
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error(err)
}

// profile is a browser as it is when it is new: no storage is shared with another one.
type profile struct {
	t   *testing.T
	ctx context.Context // its first tab
}

func (b browser) profile(t *testing.T) profile {
	t.Helper()
	ctx, end := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	return profile{t, ctx}
}

// tab is one tab with the page in it. When the test ends it has to have had no errors, and
// asked nobody but its own server.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	errors   []string
	requests []string
}

// first opens the page in the first tab, another in one more.
func (p profile) first(at string) *tab {
	p.t.Helper()
	return open(p.t, p.ctx, at)
}

func (p profile) another(at string) *tab {
	p.t.Helper()
	ctx, end := chromedp.NewContext(p.ctx)
	p.t.Cleanup(end)
	return open(p.t, ctx, at)
}

func open(t *testing.T, ctx context.Context, at string) *tab {
	t.Helper()
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	call(b, runtime.Enable, cdp.Empty{})
	call(b, browserlog.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.visit(at)
	t.Cleanup(func() { b.check(at) })
	return b
}

func (b *tab) visit(at string) {
	b.t.Helper()
	b.do(chromedp.Navigate(at))
}

// arrives waits until the tab is there, while it may be on its way.
func (b *tab) arrives(at string) {
	b.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if here, err := chromedp.Run(b.ctx, chromedp.Location()); err == nil && here == at {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("the tab does not go to %s", at)
		}
	}
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		b.errors = append(b.errors, string(text))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text, _ := json.Marshal(e.Args)
			b.errors = append(b.errors, string(text))
		}
	case *browserlog.EventEntryAdded:
		// What the server refuses, or a server that is away, is the browser's to tell, not a defect;
		// nor is a header that it heeds over TLS alone.
		if strings.Contains(e.Entry.Text, "Cross-Origin-Opener-Policy header has been ignored") {
			return
		}
		if e.Entry.Level == browserlog.EntryLevelError && e.Entry.Source != browserlog.EntrySourceNetwork || e.Entry.Source == browserlog.EntrySourceSecurity {
			b.errors = append(b.errors, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

func (b *tab) check(at string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.errors {
		b.t.Errorf("the page says: %s", text)
	}
	own, _ := url.Parse(at)
	for _, asked := range b.requests {
		if u, err := url.Parse(asked); err != nil || u.Host != own.Host && u.Scheme != "data" {
			b.t.Errorf("the page asks elsewhere: %s", asked)
		}
	}
	if len(b.requests) == 0 {
		b.t.Error("no request was seen")
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v; the page shows:\n%s", err, b.shows())
	}
}

// call sends a command to the tab's debugger.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

// shows is the page's text, for who reads why a test has failed.
func (b *tab) shows() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// eval is the value of an expression of JavaScript's, which may be a promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*limit)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v; the page shows:\n%s", expression, err, b.shows())
	}
	return value
}

// await waits until a condition holds.
func (b *tab) await(condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit+time.Second)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void]("("+condition+") === true", chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(limit)))
	if err != nil {
		b.t.Fatalf("waiting for %s: %v; the page shows:\n%s", condition, err, b.shows())
	}
}

// one is the JavaScript for the element with a test id, further narrowed by a selector.
func one(id string, more ...string) string {
	return fmt.Sprintf(`document.querySelector(%q)`, selector(id, more...))
}

func selector(id string, more ...string) string {
	return "[data-testid='" + id + "']" + strings.Join(more, "")
}

// row is that of a component.
func row(key string) string { return one("row", "[data-key='"+key+"']") }

// click waits for the element and clicks on it as a script does, wherever it is.
func (b *tab) click(element string) {
	b.t.Helper()
	b.await(element + " !== null")
	eval[chromedp.Void](b, element+`.click()`)
}

// enter writes into a field, or chooses in a list.
func (b *tab) enter(element, value string) {
	b.t.Helper()
	b.await(element + " !== null")
	eval[chromedp.Void](b, fmt.Sprintf(`(e => {
		e.value = %q;
		e.dispatchEvent(new Event("input", {bubbles: true}));
		e.dispatchEvent(new Event("change", {bubbles: true}));
	})(%s)`, value, element))
}

// choose waits until a list has the choice, and takes it.
func (b *tab) choose(list, value string) {
	b.t.Helper()
	b.await(fmt.Sprintf(`[...(%s?.options ?? [])].some(o => o.value === %q)`, list, value))
	b.enter(list, value)
}

// page goes to another of the page's views.
func (b *tab) page(hash string) {
	b.t.Helper()
	eval[chromedp.Void](b, fmt.Sprintf(`void (location.hash = %q)`, hash))
}

// live waits until the page is told of all that happens.
func (b *tab) live() {
	b.t.Helper()
	b.await(one("connection", "[data-state='live'][data-registry='connected']") + ` !== null`)
}
