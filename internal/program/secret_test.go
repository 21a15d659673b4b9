package program_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

const secret = "vEry-SeCret_tOken"

// heard is all that is said, by logs and by answers.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(text []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(text)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// Whatever is asked of the daemons, right or wrong, with the token or with nearly that
// one: neither their logs nor their answers have it.
func TestDaemonsKeepTheToken(t *testing.T) {
	all := &heard{}
	log := slog.New(slog.NewTextHandler(all, &slog.HandlerOptions{Level: slog.LevelDebug}))
	access := httpd.Access{Token: secret, TokenHint: "it is in a file"}
	one, err := hive.New(hive.Config{Log: log, RuntimeDir: t.TempDir(), StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]http.Handler{
		"registry": server.New(server.Config{Log: log}).Handler(),
		"queen":    queen.New(queen.Config{Log: log, Token: secret}).Handler(),
		"hive":     one.Handler(),
	} {
		h = access.Wrap(h)
		for _, bearer := range []string{"Bearer " + secret, "Bearer " + secret + "x", "Basic " + secret, secret} {
			for _, path := range []string{"/health", "/v1/registry/register", "/v1/queen/register-worker", "/v1/queen/spawn-worker", "/v1/hive/workers", "/nothing", "/?token=x"} {
				for _, method := range []string{"GET", "POST"} {
					r := httptest.NewRequest(method, path, strings.NewReader(`{"worker_id":`))
					r.RemoteAddr, r.Host = "192.0.2.7:4000", "192.0.2.1"
					r.Header.Set("Authorization", bearer)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					fmt.Fprintln(all, name, w.Code, w.Header(), w.Body)
				}
			}
		}
	}

	// What is no request at all is answered before anybody looks at it.
	ln, err := httpd.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, ln, server.Config{Access: access, Log: log}) }()
	for _, text := range []string{
		"GET /health HTTP/1.1\r\nAuthorization: Bearer " + secret + "\x00\r\n\r\n",
		"GET /health HTTP/1.1\r\nAuthorization Bearer " + secret + "\r\n\r\n",
		"GET /health HTTP/9\r\nHost: localhost\r\nAuthorization: Bearer " + secret + "\r\n\r\n",
	} {
		fmt.Fprintln(all, say(t, ln.Addr().String(), text))
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.Contains(all.String(), "400 Bad Request") || !strings.Contains(all.String(), "token_needed") {
		t.Errorf("not all was asked: %s", all)
	}
	if strings.Contains(all.String(), secret) {
		t.Errorf("the token is in what they say: %s", all)
	}
}

func say(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn) // what came before it was cut
	return string(answer)
}
