package credentials

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// Files are where the credentials are; those with the name "" are not there.
type Files struct {
	Token string `json:"token_file,omitempty"`
	CA    string `json:"tls_ca,omitempty"`          // in the place of those that the system trusts, in PEM
	Cert  string `json:"tls_client_cert,omitempty"` // in PEM
	Key   string `json:"tls_client_key,omitempty"`  // Cert's, in PEM
}

// Shown is what is in the files, as the configurations of clients take it.
type Shown struct {
	Token string
	TLS   *tls.Config // nil is the usual one
}

// Usual is the path of the token that counts unless another is named: "" if there is none,
// or none that we may read.
func Usual(path string) string {
	if _, err := os.ReadFile(path); err != nil {
		return ""
	}
	return path
}

// Check refuses half of a pair.
func (f Files) Check() error {
	if (f.Cert == "") != (f.Key == "") {
		return errors.New("--tls-client-cert, --tls-client-key: there is one without the other")
	}
	return nil
}

// Read reads the files. Token and CA are read this once; a certificate that is renewed is
// shown as it comes.
func (f Files) Read() (s Shown, err error) {
	if err := f.Check(); err != nil {
		return s, err
	}
	if f.Token != "" {
		text, err := os.ReadFile(f.Token)
		if err != nil {
			return s, fmt.Errorf("--token-file: %w", err)
		}
		s.Token = strings.TrimSpace(string(text))
	}
	if f.CA == "" && f.Cert == "" {
		return s, nil
	}
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		if s.TLS.RootCAs, err = f.roots(); err != nil {
			return Shown{}, fmt.Errorf("--tls-ca: %w", err)
		}
	}
	if f.Cert != "" {
		own := &pair{files: f}
		if err := own.read(); err != nil {
			return Shown{}, fmt.Errorf("--tls-client-cert %s with --tls-client-key %s: %w", f.Cert, f.Key, err)
		}
		s.TLS.GetClientCertificate = own.show
	}
	return s, nil
}

func (f Files) roots() (*x509.CertPool, error) {
	text, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("there is no certificate in %s: PEM is wanted, text that begins with -----BEGIN", f.CA)
	}
	return pool, nil
}

// Absolute are the same files for a process in another folder.
func (f Files) Absolute() (Files, error) {
	for _, path := range []*string{&f.Token, &f.CA, &f.Cert, &f.Key} {
		if *path == "" {
			continue
		}
		whole, err := filepath.Abs(*path)
		if err != nil {
			return f, fmt.Errorf("find %s from other folders: %w", *path, err)
		}
		*path = whole
	}
	return f, nil
}

// pair is a certificate and its key, as new as the files.
type pair struct {
	files Files
	now   atomic.Pointer[tls.Certificate]
}

func (p *pair) read() error {
	fresh, err := tls.LoadX509KeyPair(p.files.Cert, p.files.Key)
	if err == nil {
		p.now.Store(&fresh)
	}
	return err
}

// show is the GetClientCertificate of a tls.Config. A server that takes none of this one's CA
// is shown none, since the token may do for it.
func (p *pair) show(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	_ = p.read() // half of a pair that is just being replaced is of no use, and the one before may still be
	cert := p.now.Load()
	if asked.SupportsCertificate(cert) != nil {
		return &tls.Certificate{}, nil
	}
	return cert, nil
}
