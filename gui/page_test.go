package gui_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rbee-launch/rbee-launch/gui"
)

var script = strings.Repeat("console.log('rbee');", 100)

func page(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(gui.Page(fstest.MapFS{
		"index.html":      {Data: []byte("<!doctype html>" + strings.Repeat("<p>rbee", 100))},
		"app-ABCD1234.js": {Data: []byte(script)},
		"licences.txt":    {Data: []byte("short")},
		"sources.sha256":  {Data: []byte("00")},
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// The page may run nothing but its own, and is asked for anew; its parts never change.
func TestPageHeaders(t *testing.T) {
	at := page(t)
	for _, c := range []struct{ path, media, cache string }{
		{"/", "text/html; charset=utf-8", "no-cache"},
		{"/assets/app-ABCD1234.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/licences.txt", "text/plain; charset=utf-8", "no-cache"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := ask(t, method, at+c.path, "")
			if a.status != http.StatusOK || a.header.Get("Content-Type") != c.media || a.header.Get("Cache-Control") != c.cache {
				t.Errorf("%s %s: %d, %v", method, c.path, a.status, a.header)
			}
			if (a.body == "") != (method == http.MethodHead) {
				t.Errorf("%s %s has a body of %d bytes", method, c.path, len(a.body))
			}
			policy := a.header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
				if !strings.Contains(policy, part) {
					t.Errorf("%s: the policy lacks %s: %s", c.path, part, policy)
				}
			}
			if strings.Contains(policy, "unsafe") || a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %v", c.path, a.header)
			}
		}
	}
	for _, path := range []string{"/sources.sha256", "/index.html", "/app.js", "/assets/", "/app-ABCD1234.js", "/assets/index.html"} {
		if a := ask(t, http.MethodGet, at+path, ""); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := ask(t, http.MethodPost, at+"/", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %d", a.status)
	}
}

// Who takes gzip gets it, and who has the page is told that it is the same; the two forms
// are not mixed up.
func TestPageEncodings(t *testing.T) {
	at := page(t)
	zipped := ask(t, http.MethodGet, at+"/assets/app-ABCD1234.js", "", "Accept-Encoding", "br, gzip;q=0.8")
	r, err := gzip.NewReader(strings.NewReader(zipped.body))
	if err != nil {
		t.Fatalf("%v: %v", zipped.header, err)
	}
	if text, err := io.ReadAll(r); string(text) != script || err != nil || zipped.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("it unzips to %q, %v; %v", text, err, zipped.header)
	}
	plain := ask(t, http.MethodGet, at+"/assets/app-ABCD1234.js", "", "Accept-Encoding", "gzip;q=0")
	if plain.body != script || plain.header.Get("Content-Encoding") != "" || plain.header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("without gzip: %v", plain.header)
	}
	if plain.header.Get("ETag") == zipped.header.Get("ETag") {
		t.Error("two forms have one ETag")
	}
	for tag, want := range map[string]int{
		zipped.header.Get("ETag"):                    http.StatusNotModified,
		"W/" + zipped.header.Get("ETag"):             http.StatusNotModified,
		`"other", ` + zipped.header.Get("ETag"):      http.StatusNotModified,
		plain.header.Get("ETag"):                     http.StatusOK,
		strings.Trim(zipped.header.Get("ETag"), `"`): http.StatusOK,
	} {
		a := ask(t, http.MethodGet, at+"/assets/app-ABCD1234.js", "", "Accept-Encoding", "gzip", "If-None-Match", tag)
		if a.status != want || (a.body == "") != (want == http.StatusNotModified) {
			t.Errorf("If-None-Match: %s: %d, %d bytes", tag, a.status, len(a.body))
		}
	}
}
