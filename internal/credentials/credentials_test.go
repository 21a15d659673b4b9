package credentials_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/credentials"
	"github.com/rbee-launch/rbee-launch/internal/testca"
)

// files are of the test, with a certificate of the CA's for a client.
func files(t *testing.T, ca *testca.CA) credentials.Files {
	t.Helper()
	in := func(name string) string { return filepath.Join(t.TempDir(), name) }
	f := credentials.Files{CA: in("ca.pem"), Cert: in("client.pem"), Key: in("client.key")}
	if err := errors.Join(ca.Write(f.CA), ca.Issue(f.Cert, f.Key, testca.Client)); err != nil {
		t.Fatal(err)
	}
	return f
}

func newCA(t *testing.T, name string) *testca.CA {
	t.Helper()
	ca, err := testca.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// serve answers with the number of the certificate that it was shown, and takes those of a CA.
func serve(t *testing.T, own, clients *testca.CA) string {
	t.Helper()
	cert, key := filepath.Join(t.TempDir(), "s.pem"), filepath.Join(t.TempDir(), "s.key")
	if err := own.Issue(cert, key, testca.Server, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			_, _ = io.WriteString(w, "none")
			return
		}
		fmt.Fprint(w, r.TLS.PeerCertificates[0].SerialNumber)
	}))
	ts.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients.Pool(), ClientAuth: tls.VerifyClientCertIfGiven}
	ts.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of who does not trust it
	ts.StartTLS()
	t.Cleanup(ts.Close)
	return ts.URL
}

// ask is the answer, over a connection of its own.
func ask(t *testing.T, with *tls.Config, url string) (string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: with, DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func serial(t *testing.T, f credentials.Files) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.SerialNumber.String()
}

// The CA counts in the place of the system's, and a certificate is shown to those alone that
// take it: a server that does not would end the handshake, where a token might have done.
func TestShown(t *testing.T) {
	ours, theirs := newCA(t, "ours"), newCA(t, "theirs") // a server names those it takes
	f := files(t, ours)
	for _, c := range []struct {
		name  string
		files credentials.Files
		url   string
		want  string
	}{
		{"both", f, serve(t, ours, ours), serial(t, f)},
		{"the CA alone", credentials.Files{CA: f.CA}, serve(t, ours, ours), "none"},
		{"a server that takes others' certificates", f, serve(t, ours, theirs), "none"},
		{"a server of another CA", f, serve(t, theirs, ours), ""},
		{"the system's CAs", credentials.Files{Cert: f.Cert, Key: f.Key}, serve(t, ours, ours), ""},
	} {
		shown, err := c.files.Read()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ask(t, shown.TLS, c.url)
		var unknown x509.UnknownAuthorityError
		if got != c.want || c.want == "" != errors.As(err, &unknown) {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

// A certificate that is renewed is shown with the next connection. While half of it is there,
// the one before is.
func TestRenewed(t *testing.T) {
	ca := newCA(t, "ours")
	f, url := files(t, ca), serve(t, ca, ca)
	shown, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	before := serial(t, f)
	other := files(t, ca)
	for _, step := range []struct{ from, to, want string }{
		{other.Cert, f.Cert, before},
		{other.Key, f.Key, serial(t, other)},
	} {
		if err := os.Rename(step.from, step.to); err != nil {
			t.Fatal(err)
		}
		if got, err := ask(t, shown.TLS, url); got != step.want || err != nil {
			t.Errorf("with %s it is %s, %v; want %s", step.to, got, err, step.want)
		}
	}
}

// What can't be used is told by its flag.
func TestUnusable(t *testing.T) {
	f := files(t, newCA(t, "ours"))
	nothing := filepath.Join(t.TempDir(), "nothing")
	for _, c := range []struct {
		files credentials.Files
		want  string
	}{
		{credentials.Files{Token: nothing}, "--token-file: open " + nothing},
		{credentials.Files{CA: nothing}, "--tls-ca: open " + nothing},
		{credentials.Files{CA: f.Key}, "--tls-ca: there is no certificate in " + f.Key},
		{credentials.Files{Cert: f.CA, Key: f.Key}, "--tls-client-cert " + f.CA + " with --tls-client-key " + f.Key + ": "},
	} {
		if shown, err := c.files.Read(); err == nil || !strings.Contains(err.Error(), c.want) || shown != (credentials.Shown{}) {
			t.Errorf("%+v: %+v, %v; want %q", c.files, shown, err, c.want)
		}
	}
}

func TestAbsolute(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	f, err := credentials.Files{Token: "token", CA: "/etc/ca.pem"}.Absolute()
	if want := (credentials.Files{Token: filepath.Join(here, "token"), CA: "/etc/ca.pem"}); err != nil || f != want {
		t.Errorf("%+v, %v; want %+v", f, err, want)
	}
}
