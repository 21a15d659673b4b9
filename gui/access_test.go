package gui_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/gui"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

const token = "tok-1"

// request is one that a browser sends from a page on another machine, or from this one.
func request(method, path, from string, header ...string) *http.Request {
	r := httptest.NewRequest(method, "http://192.0.2.7:5173"+path, nil)
	r.RemoteAddr = from
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func serve(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

const (
	elsewhere = "192.0.2.1:40000"
	loopback  = "127.0.0.1:40000"
)

// What other web pages have the user's browser send is refused, from loopback too, and
// whether it is to change something or not.
func TestOtherPagesAreRefused(t *testing.T) {
	h := newGUI(t, gui.Config{}).Guarded(httpd.Access{Token: token})
	paths := map[string][]string{
		http.MethodGet: {
			"/api/stream", "/api/here/capabilities", "/api/here/v1/hive/workers", "/api/hives/x/capabilities",
			"/api/queen/v1/models", "/api/workers/x/v1/models",
		},
		http.MethodPost: {
			"/api/here/v1/hive/workers", "/api/here/v1/hive/workers/x/restart", "/api/hives/x/v1/hive/workers",
			"/api/hives/x/v1/hive/workers/x/restart", "/api/queen/v1/queen/spawn-worker", "/api/queen/v1/chat/completions",
			"/api/workers/x/v1/chat/completions", "/api/workers/x/v1/completions", "/api/workers/x/v1/embeddings",
		},
		http.MethodDelete: {
			"/api/here/v1/hive/workers/x", "/api/here/v1/hive/operations/x", "/api/hives/x/v1/hive/workers/x",
			"/api/hives/x/v1/hive/operations/x", "/api/queen/v1/queen/operations/x",
		},
	}
	gone, cancel := context.WithCancel(t.Context()) // so that no stream that is let in goes on
	cancel()
	for method, list := range paths {
		for _, path := range list {
			for _, header := range [][]string{
				{"Sec-Fetch-Site", "cross-site"},
				{"Sec-Fetch-Site", "same-site"},
				{"Sec-Fetch-Site", "cross-site", "Origin", "null"},
				{"Origin", "http://evil.example"},
				{"Origin", "http://192.0.2.7:8080"},
				{"Origin", "null"},
			} {
				resp := serve(h, request(method, path, loopback, header...).WithContext(gone))
				if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s %s with %v: %s", method, path, header, resp.Status)
				}
			}
			rebound := request(method, path, loopback).WithContext(gone)
			rebound.Host = "evil.example"
			if resp := serve(h, rebound); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s for another host: %s", method, path, resp.Status)
			}
		}
	}
	own := []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://192.0.2.7:5173"}
	if resp := serve(h, request(http.MethodPost, "/api/workers/x/v1/completions", loopback, own...)); resp.StatusCode != http.StatusNotFound {
		t.Errorf("our own page is answered with %s", resp.Status)
	}
	if resp := serve(h, request(http.MethodGet, "/", loopback, "Sec-Fetch-Site", "cross-site")); resp.StatusCode != http.StatusOK {
		t.Errorf("a link to the page is answered with %s", resp.Status)
	}
}

// A browser on another machine shows the token once, and a cookie from then on that is no
// token.
func TestLogin(t *testing.T) {
	h := newGUI(t, gui.Config{}).Guarded(httpd.Access{Token: token})
	if resp := serve(h, request(http.MethodGet, "/", elsewhere)); resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("without a token: %s", resp.Status)
	}
	wrong := serve(h, request(http.MethodGet, "/?token=wrong", elsewhere))
	if wrong.StatusCode != http.StatusUnauthorized || len(wrong.Cookies()) > 0 {
		t.Errorf("with a wrong token: %s, %v", wrong.Status, wrong.Cookies())
	}
	for _, path := range []string{"/health?token=" + token, "/api/stream?token=" + token} {
		if resp := serve(h, request(http.MethodGet, path, elsewhere)); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	resp := serve(h, request(http.MethodGet, "/?token="+token, elsewhere))
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("with the token: %s, %v", resp.Status, resp.Header)
	}
	cookies := resp.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("the cookies are %v", cookies)
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || strings.Contains(c.String(), token) {
		t.Errorf("the cookie is %s", c)
	}
	for said, want := range map[string]int{token: http.StatusSeeOther, "wrong": http.StatusUnauthorized} {
		form := request(http.MethodPost, "/login", elsewhere, "Content-Type", "application/x-www-form-urlencoded", "Origin", "http://192.0.2.7:5173")
		form.Body = io.NopCloser(strings.NewReader("token=" + said))
		if resp := serve(h, form); resp.StatusCode != want || (len(resp.Cookies()) == 1) != (said == token) {
			t.Errorf("the form with %s: %s, %v", said, resp.Status, resp.Cookies())
		}
	}
	for cookie, want := range map[string]int{
		c.Name + "=" + c.Value:           http.StatusOK,
		c.Name + "=" + c.Value[:31]:      http.StatusUnauthorized,
		c.Name + "=" + token:             http.StatusUnauthorized,
		"rbee_gui=" + c.Value:            http.StatusUnauthorized,
		"a=b; " + c.Name + "=" + c.Value: http.StatusOK,
	} {
		if resp := serve(h, request(http.MethodGet, "/", elsewhere, "Cookie", cookie)); resp.StatusCode != want {
			t.Errorf("with %s: %s", cookie, resp.Status)
		}
	}
	// The cookie is no way in for another page.
	if resp := serve(h, request(http.MethodPost, "/api/here/v1/hive/workers", elsewhere, "Cookie", c.Name+"="+c.Value, "Origin", "http://evil.example")); resp.StatusCode != http.StatusForbidden {
		t.Errorf("another page with the cookie: %s", resp.Status)
	}
	other := newGUI(t, gui.Config{}).Guarded(httpd.Access{Token: "tok-2"})
	if resp := serve(other, request(http.MethodGet, "/?token=tok-2", elsewhere)); resp.Cookies()[0].Name == c.Name {
		t.Error("pages with tokens of their own take each other's cookie away")
	}
}

// A browser that has no token is asked for it; programs, and our own page, get the problem.
func TestLoginPage(t *testing.T) {
	h := newGUI(t, gui.Config{}).Guarded(httpd.Access{Token: token, TokenHint: "the token is in /a&b"})
	for _, c := range []struct {
		method, path, accept string
		html, wrong          bool
	}{
		{http.MethodGet, "/", "text/html,application/xhtml+xml,*/*;q=0.8", true, false},
		{http.MethodGet, "/?token=wrong", "text/html", true, true},
		{http.MethodGet, "/", "*/*", false, false},
		{http.MethodGet, "/api/stream", "text/event-stream", false, false},
		{http.MethodPost, "/api/here/v1/hive/workers", "text/html", false, false},
	} {
		resp := serve(h, request(c.method, c.path, elsewhere, "Accept", c.accept))
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		text := string(body)
		if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") == "" || strings.Contains(text, token) || strings.Contains(text, "That is not the token") != c.wrong {
			t.Errorf("%s %s for %s: %s, %v, %s", c.method, c.path, c.accept, resp.Status, resp.Header, text)
		}
		if c.html != strings.Contains(text, `name="token"`) || c.html != strings.Contains(text, "/a&amp;b") || c.html != strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s %s for %s: %s", c.method, c.path, c.accept, text)
		}
		if p := resp.Header.Get("Content-Security-Policy"); c.html != strings.Contains(p, "default-src 'none'") || c.html != (resp.Header.Get("Cache-Control") == "no-store") {
			t.Errorf("%s %s for %s: %v", c.method, c.path, c.accept, resp.Header)
		}
	}
}

// A server without a token has nobody from elsewhere, whatever they show.
func TestNoToken(t *testing.T) {
	h := newGUI(t, gui.Config{}).Guarded(httpd.Access{})
	for _, path := range []string{"/", "/?token="} {
		if resp := serve(h, request(http.MethodGet, path, elsewhere)); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if resp := serve(h, request(http.MethodGet, "/?token=x", loopback)); resp.StatusCode != http.StatusSeeOther || len(resp.Cookies()) > 0 {
		t.Errorf("from loopback: %s, %v", resp.Status, resp.Cookies())
	}
}
