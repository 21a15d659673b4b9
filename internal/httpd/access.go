package httpd

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Access says who may call a server. Callers on this machine's loopback may do
// everything; from anywhere else a bearer token or a client certificate is asked for. A request whose
// Host or Origin is a name we do not know is refused even from loopback, so that
// a web page can't drive a daemon through the user's browser (DNS rebinding).
type Access struct {
	Token     string   // the bearer token; empty refuses every caller beyond loopback
	TokenHint string   // where to find the token, for the 401's text
	CertHint  string   // which client certificates TLS takes, for the 401's text; empty for none
	Hosts     []string // host names, besides localhost, IP addresses and this machine's own name, that requests may name
	// TLS is what Serve is to speak TLS with, see TLSFiles; nil is plain HTTP. A client's
	// certificate that it has verified counts as the token does.
	TLS *tls.Config
	// MaxRate is how many requests a second one other machine may send, and twice that in a
	// burst, with the token or without: guessing one is slowed down, too. 1,000 when zero; no
	// limit below zero.
	MaxRate int
	// Refuse writes the answer to a request that is not let in; WriteProblem when nil.
	Refuse func(w http.ResponseWriter, r *http.Request, err error)
}

// Wrap puts the check before h.
func (a Access) Wrap(h http.Handler) http.Handler {
	own, _ := os.Hostname() // without a name there is one less to accept
	limit := newPace(cmp.Or(a.MaxRate, usualRate))
	refuse := a.Refuse
	if refuse == nil {
		refuse = func(w http.ResponseWriter, _ *http.Request, err error) { WriteProblem(w, err) }
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.MaxRate >= 0 && !limit.takes(r.RemoteAddr) {
			refuse(w, r, limit.slowDown(w))
			return
		}
		if p := a.check(r, own); p != nil {
			if p.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="rbee"`)
			}
			refuse(w, r, p)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (a Access) check(r *http.Request, own string) *Problem {
	if !a.knownHost(r.Host, own) {
		return Errorf(http.StatusForbidden, "foreign_host", "the request names the host %q, which is not this server's", r.Host)
	}
	if origin := r.Header.Get("Origin"); origin != "" && !sameOrigin(origin, r.Host) {
		return Errorf(http.StatusForbidden, "foreign_origin", "requests from the web page %q are not taken", origin)
	}
	if IsLoopback(r.RemoteAddr) {
		return nil
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ") // RFC 9110, 11.4: in any case, and one space or more
	if strings.EqualFold(scheme, "Bearer") && a.Token != "" && sameToken(strings.TrimLeft(given, " "), a.Token) {
		return nil
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return nil
	}
	return Errorf(http.StatusUnauthorized, "token_needed",
		"callers from other machines need a token (Authorization: Bearer ...) or a client certificate; %s; %s",
		cmp.Or(a.TokenHint, "this server was started without a token"),
		cmp.Or(a.CertHint, "it takes no client certificates"))
}

// knownHost accepts literal addresses (rebinding needs a name), localhost, and
// the names given.
func (a Access) knownHost(hostport, own string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" || host == strings.ToLower(own) {
		return true
	}
	for _, known := range a.Hosts {
		if host == strings.ToLower(known) {
			return true
		}
	}
	return false
}

func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}

// sameToken compares in constant time; hashing first hides the length too.
func sameToken(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// IsLoopback reports whether addr ("host:port", as in r.RemoteAddr) is on this
// machine's loopback.
func IsLoopback(addr string) bool {
	ap, err := netip.ParseAddrPort(addr)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// TokenFile reads the token in path, or makes one there with mode 0600 (its
// folder with 0700). Two servers that start at once end with the same token.
func TokenFile(path string) (token string, made bool, err error) {
	if token, err = readToken(path); !errors.Is(err, fs.ErrNotExist) {
		return token, false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", false, fmt.Errorf("make a token: %w", err)
	}
	var raw [24]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand's own promise
	fresh := base64.RawURLEncoding.EncodeToString(raw[:])
	tmp, err := os.CreateTemp(filepath.Dir(path), ".token-*") // mode 0600
	if err != nil {
		return "", false, fmt.Errorf("make a token: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(fresh + "\n")
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", false, fmt.Errorf("make a token: %w", err)
	}
	// Link, unlike rename, never replaces the file of a server that was quicker.
	if err := os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
		token, err = readToken(path)
		return token, false, err
	} else if err != nil {
		return "", false, fmt.Errorf("make a token: %w", err)
	}
	return fresh, true, nil
}

func readToken(path string) (string, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(body))
	if token == "" {
		return "", fmt.Errorf("read the token: %s is empty: delete it to have a new one made", path)
	}
	return token, nil
}
