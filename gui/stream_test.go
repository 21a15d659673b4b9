package gui_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/gui"
	"github.com/rbee-launch/rbee-launch/registry"
)

// A page is told everything, then what changes, and at the end that the server goes; one
// that comes back is told everything again, what has happened too.
func TestStream(t *testing.T) {
	reg, client := startRegistry(t)
	old := register(t, client, registry.Worker, "old", closedURL(t))
	at, stop := startGUI(t, gui.Config{RegistryURL: reg, Version: "v1.2.3"})

	page := openStream(t, at)
	hello, _ := page.next()
	if got := fmt.Sprint(hello.data); hello.name != "hello" || !strings.Contains(got, "version:v1.2.3") ||
		!strings.Contains(got, "here:/api/here") || !strings.Contains(got, "queen:/api/queen") {
		t.Errorf("the first word is %v", hello)
	}
	if cluster, _ := page.next(); cluster.name != "cluster" {
		t.Errorf("the second word is %v", cluster)
	}
	if happened, _ := page.next(); happened.name != "happened" {
		t.Errorf("the third word is %v", happened)
	}
	page = openStream(t, at)
	page.awaitComponent("gui/gui", whatever)
	page = openStream(t, at)
	page.awaitComponent("worker/old", func(c map[string]any) bool { return has(c, "status", "online") })

	register(t, client, registry.Worker, "new", closedURL(t))
	page.awaitComponent("worker/new", whatever)
	page.await("the news of it", func(m message) bool { return m.name == "happened" && isNews(m, "registered worker/new") })
	if err := client.Unregister(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	page.await("its end", func(m message) bool {
		return m.name == "changed" && strings.Contains(fmt.Sprint(m.data), "remove:[worker/old]")
	})
	page.await("the news of that", func(m message) bool { return isNews(m, "left worker/old") })

	again := openStream(t, at)
	again.await("everything", func(m message) bool { return m.name == "cluster" && len(listed(m.data, "components")) == 3 })
	news := again.await("what has happened", func(m message) bool { return m.name == "happened" })
	if list := listed(news.data, ""); len(list) < 2 || list[0]["what"] != "left" {
		t.Errorf("what happened last is not first: %v", list)
	}
	if isNews(news, "registered worker/old") || isNews(news, "back registry/registry") {
		t.Errorf("what was there before is told as news: %v", news.data)
	}

	stop()
	again.await("the end", func(m message) bool { return m.name == "bye" })
	if m, more := again.next(); more {
		t.Errorf("after the last word comes %v", m)
	}
}

func isNews(m message, what string) bool {
	for _, h := range listed(m.data, "") {
		if fmt.Sprintf("%s %s", h["what"], h["key"]) == what {
			return true
		}
	}
	return false
}

// A registry that goes away is told, with why; what it said last stays.
func TestStreamRegistryAway(t *testing.T) {
	reg, client := startRegistry(t)
	srv := httptest.NewServer(passTo(reg))
	register(t, client, registry.Worker, "w", closedURL(t))
	at, _ := startGUI(t, gui.Config{RegistryURL: srv.URL, HeartbeatInterval: 20 * time.Millisecond})
	page := openStream(t, at)
	page.awaitComponent("worker/w", whatever)
	srv.CloseClientConnections()
	srv.Close()
	away := page.await("the loss", func(m message) bool { return strings.Contains(fmt.Sprint(m.data), "state:away") })
	if text := fmt.Sprint(away.data); !strings.Contains(text, "cause:") || !strings.Contains(text, "as_of:") || strings.Contains(text, "remove:[worker/w") {
		t.Errorf("it is told as %s", text)
	}
	page.await("the news", func(m message) bool { return isNews(m, "lost registry/registry") })
}

// passTo is a way to a server that can be cut.
func passTo(at string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), r.Method, at+r.URL.RequestURI(), r.Body)
		if err != nil {
			return
		}
		req.Header = r.Header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		for buf := make([]byte, 4096); ; {
			n, err := resp.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = http.NewResponseController(w).Flush()
			if err != nil {
				return
			}
		}
	})
}

// A hundred changes at once are one message, and a page that was told of something waits
// a moment before it is told the next.
func TestStreamCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := gui.NewCluster("localhost", time.Minute)
		leaving := make(chan struct{})
		out, in := io.Pipe()
		var serving sync.WaitGroup
		serving.Go(func() {
			defer in.Close()
			req := httptest.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "/api/stream", nil)
			c.Stream(leaving).ServeHTTP(pipeWriter{in, http.Header{}}, req)
		})
		lines := bufio.NewScanner(out)
		for range 3 { // hello, cluster, happened
			readMessage(t, lines)
		}
		for i := range 100 {
			c.Learn(view(uint64(i+1), aWorker("w", "i", fmt.Sprint(i))))
		}
		began := time.Now()
		m, _ := readMessage(t, lines)
		if list := listed(m.data, "upsert"); m.name != "changed" || len(list) != 2 || list[0]["model"] != "99" && list[1]["model"] != "99" {
			t.Errorf("a hundred changes come as %v", m)
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("they were gathered for %s", took)
		}
		c.Learn(view(101, aWorker("w", "i", "b")))
		c.Learn(view(102))
		if m, _ := readMessage(t, lines); m.name != "changed" || !strings.Contains(fmt.Sprint(m.data), "remove:[worker/w]") {
			t.Errorf("what came and went comes as %v", m)
		}
		close(leaving)
		for more := true; more; {
			_, more = readMessage(t, lines)
		}
		serving.Wait()
	})
}

// pipeWriter is a response whose reader is as slow as the test.
type pipeWriter struct {
	io.Writer
	header http.Header
}

func (p pipeWriter) Header() http.Header { return p.header }
func (p pipeWriter) WriteHeader(int)     {}
func (p pipeWriter) Flush()              {}

// A HEAD of the stream ends.
func TestStreamHead(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	resp := serve(newGUI(t, gui.Config{}).Handler(), request(http.MethodHead, "/api/stream", loopback).WithContext(ctx))
	if ctx.Err() != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("it answers %s, %v, %v", resp.Status, resp.Header, ctx.Err())
	}
}
