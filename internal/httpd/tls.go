package httpd

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// TLSFiles are what a server speaks TLS with, all in PEM.
type TLSFiles struct {
	Cert     string // the server's certificate, then those between it and its CA's
	Key      string // its private key
	ClientCA string // who signs the certificates of clients; "" asks them for none
}

// Load reads the files, which is where most mistakes show. The certificate's own are read
// again when they have changed: one that is renewed is taken as it comes, and while the
// new one is of no use, the one before stays. names are those that the certificate is for.
func (f TLSFiles) Load(log *slog.Logger) (cfg *tls.Config, names []string, err error) {
	p := &pair{files: f, log: log, seen: f.stamp()}
	if p.now, err = f.read(); err != nil {
		return nil, nil, err
	}
	p.warn()
	// HTTP/2 would put many requests on one connection, out of reach of the limits that
	// Serve sets for each.
	cfg = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.current, NextProtos: []string{"http/1.1"}}
	if f.ClientCA != "" {
		if cfg.ClientCAs, err = f.clientCAs(); err != nil {
			return nil, nil, err
		}
		cfg.ClientAuth = tls.VerifyClientCertIfGiven // the token does, too
	}
	for _, name := range p.now.Leaf.DNSNames {
		if !strings.HasPrefix(name, "*.") {
			names = append(names, name)
		}
	}
	return cfg, names, nil
}

func (f TLSFiles) read() (*tls.Certificate, error) {
	cert, err := os.ReadFile(f.Cert)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	key, err := os.ReadFile(f.Key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate's key: %w", err)
	}
	c, err := tls.X509KeyPair(cert, key)
	if err != nil && bytes.Contains(key, []byte("ENCRYPTED")) {
		err = errors.New("the key is encrypted, and there is nobody to ask for its passphrase")
	}
	if err != nil {
		return nil, fmt.Errorf("use the certificate %s with the key %s: %w", f.Cert, f.Key, err)
	}
	return &c, nil
}

func (f TLSFiles) clientCAs() (*x509.CertPool, error) {
	text, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read the clients' CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("use the clients' CA %s: there is no certificate in it", f.ClientCA)
	}
	return pool, nil
}

// stamps tell files that were written, or replaced, from what they were before.
type stamps [2]os.FileInfo // nil for one that is missing

func (f TLSFiles) stamp() (s stamps) {
	s[0], _ = os.Stat(f.Cert)
	s[1], _ = os.Stat(f.Key)
	return s
}

func (s stamps) same(as stamps) bool {
	for i, a := range s {
		b := as[i]
		if (a == nil) != (b == nil) {
			return false
		}
		if a != nil && (!os.SameFile(a, b) || !a.ModTime().Equal(b.ModTime()) || a.Size() != b.Size()) {
			return false
		}
	}
	return true
}

// pair is a certificate and its key, as new as the files.
type pair struct {
	files TLSFiles
	log   *slog.Logger

	mu   sync.Mutex
	now  *tls.Certificate
	seen stamps // of the files when they were last read
}

// current is the GetCertificate of a tls.Config.
func (p *pair) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.files.stamp()
	if seen.same(p.seen) {
		return p.now, nil
	}
	p.seen = seen // so that a pair of no use is looked at, and told of, once
	fresh, err := p.files.read()
	if err != nil {
		p.log.Warn("the certificate on disk is of no use, the one before stays", "err", err)
		return p.now, nil
	}
	p.now = fresh
	p.log.Info("certificate renewed", "until", fresh.Leaf.NotAfter)
	p.warn()
	return p.now, nil
}

// warn of what clients will refuse.
func (p *pair) warn() {
	if until := p.now.Leaf.NotAfter; time.Now().After(until) {
		p.log.Warn("the certificate has expired: clients will refuse it", "file", p.files.Cert, "until", until)
	}
}
