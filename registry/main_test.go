package registry_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry/server"
)

// beyond is what answers to requests that go to other machines: Go reads the environment's
// proxy once, so it is there from the beginning.
var beyond atomic.Pointer[http.Handler]

func TestMain(m *testing.M) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			(*beyond.Load()).ServeHTTP(w, r)
		}))
	}()
	for name, value := range map[string]string{"HTTP_PROXY": "http://" + ln.Addr().String(), "NO_PROXY": "", "no_proxy": "", "http_proxy": ""} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// elsewhere is the URL of a new registry on another machine.
func elsewhere(t *testing.T) string {
	t.Helper()
	h := server.New(server.Config{}).Handler()
	beyond.Store(&h)
	return "http://box2.test:7830"
}
