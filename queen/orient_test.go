package queen_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/registry"
)

// TestRequestsOfAQueenWhoHasJustStarted: until the registry has told her who is there, she
// says of no model that it is not.
func TestRequestsOfAQueenWhoHasJustStarted(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	srv := httptest.NewServer(tells("{}"))
	t.Cleanup(srv.Close)
	w := componentAt(t, srv.URL)
	life := registry.NewLife(registry.Worker, w.ID, w.Hostname, srv.Listener.Addr(), false)
	life.Model = "tiny"
	if _, err := registryClient(t, reg).Register(t.Context(), life); err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(reg)
	if err != nil {
		t.Fatal(err)
	}
	proxy, open := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }, FlushInterval: -1}, make(chan struct{})
	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-open
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(late.Close)
	her, _ := startQueen(t, queen.Config{RegistryURL: late.URL})
	began := time.Now()
	time.AfterFunc(100*time.Millisecond, func() { close(open) })
	for _, c := range []struct{ method, path, body string }{
		{"POST", chatPath, chatOf("tiny")},
		{"GET", "/v1/models", ""},
		{"GET", "/v1/models/tiny", ""},
	} {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			status, _, answer := ask(t, c.method, her+c.path, c.body)
			if time.Since(began) > 2*time.Second {
				t.Skip("the machine is too busy: she does not wait for longer than 3 s")
			}
			if data, listed := answer["data"].([]any); status != http.StatusOK || listed && len(data) != 1 {
				t.Errorf("%d %v", status, answer)
			}
		})
	}
}
