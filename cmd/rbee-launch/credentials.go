package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

// credentialFlags are what a registry and a queen on other machines are shown, and known by.
type credentialFlags struct {
	TokenFile     string `help:"The token for a registry and a queen on other machines." placeholder:"FILE"`
	TLSCA         string `name:"tls-ca" help:"The CA by which they are known at https URLs (PEM; default: those that the system trusts)." placeholder:"FILE"`
	TLSClientCert string `name:"tls-client-cert" help:"A certificate to show them, in the token's place (PEM)." placeholder:"FILE"`
	TLSClientKey  string `name:"tls-client-key" help:"That certificate's private key (PEM)." placeholder:"FILE"`
}

// Validate is called by kong.
func (f credentialFlags) Validate() error {
	if (f.TLSClientCert == "") != (f.TLSClientKey == "") {
		return errors.New("--tls-client-cert, --tls-client-key: there is one without the other")
	}
	return nil
}

// credentials are what the flags name.
type credentials struct {
	token string
	tls   *tls.Config // nil is the usual
}

func (f credentialFlags) read() (c credentials, err error) {
	defer func() {
		if err != nil {
			err = cli.WithCode(cli.CodeUsage, err)
		}
	}()
	if f.TokenFile != "" {
		text, err := os.ReadFile(f.TokenFile)
		if err != nil {
			return c, err
		}
		c.token = strings.TrimSpace(string(text))
	}
	if f.TLSCA == "" && f.TLSClientCert == "" {
		return c, nil
	}
	c.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if f.TLSCA != "" {
		text, err := os.ReadFile(f.TLSCA)
		if err != nil {
			return c, fmt.Errorf("--tls-ca: %w", err)
		}
		c.tls.RootCAs = x509.NewCertPool()
		if !c.tls.RootCAs.AppendCertsFromPEM(text) {
			return c, fmt.Errorf("--tls-ca: there is no certificate in %s: PEM is wanted, text that begins with -----BEGIN", f.TLSCA)
		}
	}
	if f.TLSClientCert != "" {
		pair, err := tls.LoadX509KeyPair(f.TLSClientCert, f.TLSClientKey)
		if err != nil {
			return c, fmt.Errorf("--tls-client-cert %s with --tls-client-key %s: %w", f.TLSClientCert, f.TLSClientKey, err)
		}
		c.tls.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
