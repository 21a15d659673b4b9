package httpd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/testca"
)

// place is a folder with a server's certificate, its CA's, and one of a client's.
type place struct {
	t   *testing.T
	dir string
	ca  *testca.CA
	log *logged
}

// logged is a log that a test looks at while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{t: t, dir: t.TempDir(), ca: newCA(t), log: &logged{}}
	p.issue(p.ca, "server", testca.Server, "localhost", "box.example", "*.wild.example", "127.0.0.1")
	p.issue(p.ca, "client", testca.Client)
	if err := p.ca.Write(p.path("ca.pem")); err != nil {
		t.Fatal(err)
	}
	return p
}

func newCA(t *testing.T) *testca.CA {
	t.Helper()
	ca, err := testca.New("a CA for tests")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func (p place) path(name string) string { return filepath.Join(p.dir, name) }

func (p place) issue(ca *testca.CA, name string, use x509.ExtKeyUsage, names ...string) {
	p.t.Helper()
	if err := ca.Issue(p.path(name+".pem"), p.path(name+".key"), use, names...); err != nil {
		p.t.Fatal(err)
	}
}

func (p place) files() httpd.TLSFiles {
	return httpd.TLSFiles{Cert: p.path("server.pem"), Key: p.path("server.key"), ClientCA: p.path("ca.pem")}
}

// serve answers over TLS, callers of this machine as if they came from another one.
func (p place) serve(files httpd.TLSFiles) (addr string) {
	p.t.Helper()
	cfg, names, err := files.Load(slog.New(slog.NewTextHandler(p.log, nil)))
	if err != nil {
		p.t.Fatal(err)
	}
	ln, err := httpd.Listen(p.t.Context(), "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	access := httpd.Access{Token: "secret", TLS: cfg, Hosts: names}.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "192.0.2.7:4000"
		access.ServeHTTP(w, r)
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- httpd.Serve(ctx, ln, h, httpd.ServeOptions{TLS: cfg, Header: time.Second}) }()
	p.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			p.t.Error(err)
		}
	})
	return ln.Addr().String()
}

// get asks as a client with that certificate, "" for none.
func (p place) get(addr, client, token string) (status int, serial string, err error) {
	p.t.Helper()
	cfg := &tls.Config{RootCAs: p.ca.Pool()}
	if client != "" {
		pair, err := tls.LoadX509KeyPair(p.path(client+".pem"), p.path(client+".key"))
		if err != nil {
			p.t.Fatal(err)
		}
		// Also one that the server has not asked for.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	req, err := http.NewRequest("GET", "https://"+addr+"/", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true, ForceAttemptHTTP2: true}, Timeout: time.Minute}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 1 { // the limits are those of a connection
		p.t.Errorf("it speaks %s", resp.Proto)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.TLS.PeerCertificates[0].SerialNumber.String(), err
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	addr := p.serve(p.files())
	p.issue(newCA(t), "stranger", testca.Client)
	p.issue(p.ca, "other-use", testca.Server)
	without := p.files()
	without.ClientCA = ""
	addrWithout := p.serve(without)
	for _, test := range []struct {
		name, addr, client, token string
		status                    int // 0: the handshake fails
	}{
		{"neither", addr, "", "", 401},
		{"the token", addr, "", "secret", 200},
		{"another token", addr, "", "guess", 401},
		{"a certificate", addr, "client", "", 200},
		{"a certificate and a wrong token", addr, "client", "guess", 200},
		{"a stranger's certificate", addr, "stranger", "", 0},
		{"a stranger's certificate, and the token", addr, "stranger", "secret", 0},
		{"a server's certificate", addr, "other-use", "", 0},
		{"a certificate, where none are taken", addrWithout, "client", "", 401},
		{"the token, where no certificates are taken", addrWithout, "", "secret", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, _, err := p.get(test.addr, test.client, test.token)
			if status != test.status || (err != nil) != (test.status == 0) {
				t.Errorf("%d, %v", status, err)
			}
		})
	}
}

func TestARenewedCertificateIsTaken(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	addr := p.serve(p.files())
	shown := func() string {
		t.Helper()
		status, serial, err := p.get(addr, "client", "")
		if status != 200 {
			t.Fatal(status, err)
		}
		return serial
	}
	first := shown()
	if again := shown(); again != first {
		t.Error("it changes by itself")
	}

	// Half a renewal: the certificate is there, its key not yet.
	p.issue(p.ca, "next", testca.Server, "127.0.0.1")
	p.move("next.pem", "server.pem")
	for range 3 {
		if serial := shown(); serial != first {
			t.Error("a certificate without its key is shown")
		}
	}
	if n := p.log.count("of no use"); n != 1 {
		t.Errorf("that is told %d times", n)
	}
	p.move("next.key", "server.key")
	second := shown()
	if second == first || p.log.count("certificate renewed") != 1 {
		t.Error("the new one is not taken")
	}

	if err := os.Remove(p.path("server.key")); err != nil {
		t.Fatal(err)
	}
	if serial := shown(); serial != second {
		t.Error("without its file the certificate is lost")
	}
	p.issue(p.ca, "server", testca.Server, "127.0.0.1")
	if serial := shown(); serial == second {
		t.Error("the third one is not taken")
	}
}

func (p place) move(from, to string) {
	p.t.Helper()
	if err := os.Rename(p.path(from), p.path(to)); err != nil {
		p.t.Fatal(err)
	}
}

func TestWhatIsWrongWithTheFiles(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	write := func(name, text string) string {
		if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p.path(name)
	}
	nonsense := write("nonsense", "hello")
	locked := write("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\naGVsbG8=\n-----END ENCRYPTED PRIVATE KEY-----\n")
	for _, test := range []struct {
		name string
		edit func(*httpd.TLSFiles)
		want []string
	}{
		{"no certificate", func(f *httpd.TLSFiles) { f.Cert = p.path("none") }, []string{"read the certificate: open " + p.path("none"), "no such file"}},
		{"no key", func(f *httpd.TLSFiles) { f.Key = p.path("none") }, []string{"read the certificate's key: open " + p.path("none")}},
		{"no CA", func(f *httpd.TLSFiles) { f.ClientCA = p.path("none") }, []string{"read the clients' CA: open " + p.path("none")}},
		{"no PEM", func(f *httpd.TLSFiles) { f.Cert = nonsense }, []string{"use the certificate " + nonsense, "PEM"}},
		{"another's key", func(f *httpd.TLSFiles) { f.Key = p.path("client.key") }, []string{"with the key " + p.path("client.key"), "does not match"}},
		{"a key with a passphrase", func(f *httpd.TLSFiles) { f.Key = locked }, []string{"the key is encrypted"}},
		{"no PEM of a CA", func(f *httpd.TLSFiles) { f.ClientCA = nonsense }, []string{"use the clients' CA " + nonsense, "no certificate in it"}},
	} {
		files := p.files()
		test.edit(&files)
		_, _, err := files.Load(slog.New(slog.DiscardHandler))
		for _, text := range test.want {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, without %q", test.name, err, text)
			}
		}
	}
}

func TestTheNamesOfACertificate(t *testing.T) {
	t.Parallel()
	_, names, err := newPlace(t).files().Load(slog.New(slog.DiscardHandler))
	if err != nil || strings.Join(names, " ") != "localhost box.example" {
		t.Errorf("%q, %v", names, err)
	}
}

// A server of TLS is asked in other ways, too.
func TestWhatIsNotOurTLS(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	addr := p.serve(p.files())
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: p.ca.Pool(), MinVersion: version, MaxVersion: version})
		if err == nil {
			conn.Close()
			t.Errorf("version %x is spoken", version)
		}
	}
	for name, test := range map[string]struct{ say, answer string }{
		"plain HTTP":       {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.0 400 Bad Request\r\n"},
		"half a handshake": {"\x16\x03\x01\x02\x00\x01", ""},
		"nothing":          {"", ""},
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, test.say); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn) // to its end, which the server makes
		if err != nil || !strings.HasPrefix(string(answer), test.answer) {
			t.Errorf("%s is answered with %q, %v", name, answer, err)
		}
	}
}
