package queen

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
)

// TestFetchCapabilities holds which answers are taken, which are final, and
// which are worth asking for again.
func TestFetchCapabilities(t *testing.T) {
	t.Parallel()
	var strayed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strayed.Store(true) }))
	t.Cleanup(elsewhere.Close)
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		taken  bool
		final  bool
	}{
		{"an object", text(200, `{"a":1}`), true, true},
		{"as large as can be", text(200, `{"a":"`+strings.Repeat("x", maxCapabilities-8)+`"}`), true, true},
		{"too large", text(200, `{"a":"`+strings.Repeat("x", maxCapabilities-7)+`"}`), false, true},
		{"a web page", text(200, "<html>"), false, true},
		{"null", text(200, "null"), false, true},
		{"a list", text(200, "[]"), false, true},
		{"not found", text(404, `{"a":1}`), false, true},
		{"elsewhere", http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, false, true},
		{"not implemented", text(501, ""), false, true},
		{"busy", text(429, `{"a":1}`), false, false},
		{"loading", text(503, `{"a":1}`), false, false},
		{"cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, false},
	} {
		srv := httptest.NewServer(c.answer)
		q := New(Config{})
		caps, err := q.fetchCapabilities(t.Context(), q.asker(), memberAt(t, srv.URL))
		if (caps != nil) != c.taken || (err == nil) != c.taken {
			t.Errorf("%s: %d capabilities, %v", c.name, len(caps), err)
		}
		if final := err == nil || errors.Is(err, errNone); final != c.final {
			t.Errorf("%s: final is %v: %v", c.name, final, err)
		}
		srv.Close()
	}
	if strayed.Load() {
		t.Error("a redirect was followed")
	}
}

func TestNoHostIsFetchedFromThatIsNone(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", "user@box", "box/path", "box?", "box#", "bo x", "box:80"} {
		q := New(Config{})
		_, err := q.fetchCapabilities(t.Context(), q.asker(), registry.Component{ID: "w", Hostname: host, Port: 1})
		if !errors.Is(err, errNone) {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func memberAt(t *testing.T, url string) registry.Component {
	t.Helper()
	ap, err := netip.ParseAddrPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return registry.Component{Kind: registry.Worker, ID: "w", Hostname: ap.Addr().String(), Port: int(ap.Port())}
}
