package httpd_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

func TestAccess(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	access := httpd.Access{Token: "secret", TokenHint: "it is in a file", Hosts: []string{"box2.example"}}
	const here, there = "127.0.0.1:4000", "192.0.2.7:4000"
	for _, test := range []struct {
		name                 string
		from, host           string
		origin, bearer       string
		status               int
		code                 string
		withoutTokenOfServer bool
	}{
		{name: "from here", from: here, host: "localhost:7830", status: 200},
		{name: "from here, IPv6", from: "[::1]:4000", host: "[::1]:7830", status: 200},
		{name: "from here, mapped", from: "[::ffff:127.0.0.1]:4000", host: "127.0.0.1", status: 200},
		{name: "under our name", from: here, host: strings.ToUpper(own) + ":7830", status: 200},
		{name: "under a name that is ours", from: here, host: "Box2.example.:7830", status: 200},
		{name: "under a foreign name", from: here, host: "evil.example:7830", status: 403, code: "foreign_host"},
		{name: "under a name that begins as ours", from: here, host: "localhost.evil.example", status: 403, code: "foreign_host"},
		{name: "a foreign name, with the token", from: there, host: "evil.example", bearer: "Bearer secret", status: 403, code: "foreign_host"},
		{name: "our own page", from: here, host: "localhost:7830", origin: "http://localhost:7830", status: 200},
		{name: "a page of another port", from: here, host: "localhost:7830", origin: "http://localhost:3000", status: 403, code: "foreign_origin"},
		{name: "a page of another site", from: here, host: "localhost:7830", origin: "https://evil.example", status: 403, code: "foreign_origin"},
		{name: "a page without a site", from: here, host: "localhost:7830", origin: "null", status: 403, code: "foreign_origin"},
		{name: "from elsewhere", from: there, host: "192.0.2.1:7830", status: 401, code: "token_needed"},
		{name: "with the token", from: there, host: "192.0.2.1:7830", bearer: "Bearer secret", status: 200},
		{name: "with the token, in other letters", from: there, host: "192.0.2.1:7830", bearer: "bearer  secret", status: 200},
		{name: "with another token", from: there, host: "192.0.2.1:7830", bearer: "Bearer guess", status: 401, code: "token_needed"},
		{name: "with part of it", from: there, host: "192.0.2.1:7830", bearer: "Bearer secre", status: 401, code: "token_needed"},
		{name: "with an empty one", from: there, host: "192.0.2.1:7830", bearer: "Bearer ", status: 401, code: "token_needed"},
		{name: "in another scheme", from: there, host: "192.0.2.1:7830", bearer: "Basic secret", status: 401, code: "token_needed"},
		{name: "no token is no password", from: there, host: "192.0.2.1", bearer: "Bearer ", withoutTokenOfServer: true, status: 401, code: "token_needed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := access
			if test.withoutTokenOfServer {
				a = httpd.Access{}
			}
			h := a.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Host = test.from, test.host
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			if test.bearer != "" {
				r.Header.Set("Authorization", test.bearer)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var p httpd.Problem
			if test.code != "" {
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
					t.Fatal(err)
				}
			}
			if w.Code != test.status || p.Code != test.code {
				t.Errorf("%d %s: %s", w.Code, p.Code, w.Body)
			}
			if w.Code == 401 {
				if !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("it asks for %q", w.Header().Get("WWW-Authenticate"))
				}
				if hint := a.TokenHint; hint != "" && !strings.Contains(p.Detail, hint) {
					t.Errorf("it does not say where the token is: %s", p.Detail)
				}
			}
		})
	}
}

// Many servers start at once with the same missing file: one makes the token, all
// have it.
func TestTokenFileMadeAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "token")
	const servers = 20
	tokens, makers := make([]string, servers), make([]bool, servers)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range servers {
		all.Go(func() {
			<-start
			var err error
			if tokens[i], makers[i], err = httpd.TokenFile(path); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
	made := 0
	for i := range servers {
		if tokens[i] != tokens[0] || len(tokens[i]) < 32 {
			t.Errorf("token %q and token %q", tokens[0], tokens[i])
		}
		if makers[i] {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d say that they made it", made)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != want {
			t.Errorf("%s has mode %o, not %o", name, mode, want)
		}
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("left beside it: %v, %v", files, err)
	}
}

func TestTokenFileOfTheUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("  mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if token, made, err := httpd.TokenFile(path); token != "mine" || made || err != nil {
		t.Errorf("%q, %t, %v", token, made, err)
	}
	if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if token, _, err := httpd.TokenFile(path); err == nil || !strings.Contains(err.Error(), "is empty: delete it") {
		t.Errorf("an empty file gives %q, %v", token, err)
	}
}
