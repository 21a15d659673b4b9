package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// Access are the flags of a server that other machines may reach.
type Access struct {
	TokenFile   string   `help:"The token that callers from other machines must show; made when missing (default: \"token\" in the state folder)." placeholder:"FILE"`
	TLSCert     string   `name:"tls-cert" help:"Speak TLS, with this certificate (PEM: the server's own first, then those up to its CA's). One that is renewed is taken as it comes." placeholder:"FILE"`
	TLSKey      string   `name:"tls-key" help:"The certificate's private key (PEM)." placeholder:"FILE"`
	TLSClientCA string   `name:"tls-client-ca" help:"A client's certificate counts as the token does if this CA has signed it (PEM)." placeholder:"FILE"`
	AllowHost   []string `help:"A host name that requests may be addressed to, besides IP addresses, localhost, this machine's name and those in the certificate." placeholder:"NAME"`
	MaxRate     int      `help:"So many requests a second are taken from one other machine, twice that in a burst; 0 is no limit (default: ${default})." default:"1000" placeholder:"N"`
}

// Validate is called by kong.
func (a Access) Validate() error {
	switch {
	case a.MaxRate < 0:
		return fmt.Errorf("--max-rate: %d is below zero", a.MaxRate)
	case a.TLSCert != "" && a.TLSKey == "":
		return errors.New("--tls-cert: it needs its private key: --tls-key FILE")
	case a.TLSCert == "" && a.TLSKey != "":
		return errors.New("--tls-key: it needs its certificate: --tls-cert FILE")
	case a.TLSClientCA != "" && a.TLSCert == "":
		return errors.New("--tls-client-ca: clients show certificates over TLS alone: --tls-cert FILE and --tls-key FILE")
	}
	return nil
}

// open opens the listener, and finds out who may come in through it.
func (a Access) open(ctx context.Context, call *cli.Call, log *slog.Logger, addr, flag string) (net.Listener, httpd.Access, error) {
	access, err := a.secure(log)
	if err != nil {
		return nil, access, err
	}
	ln, err := httpd.Listen(ctx, addr)
	if err != nil {
		return nil, access, cli.WithHint(err, "%s names another address", flag)
	}
	if !httpd.IsLoopback(ln.Addr().String()) { // else nobody from elsewhere gets here
		if err := a.token(call, &access); err != nil {
			_ = ln.Close()
			return nil, access, err
		}
	}
	return ln, access, nil
}

// secure reads the files of TLS, if it is wanted.
func (a Access) secure(log *slog.Logger) (httpd.Access, error) {
	access := httpd.Access{Hosts: a.AllowHost, MaxRate: a.MaxRate}
	if a.MaxRate == 0 {
		access.MaxRate = -1
	}
	if a.TLSCert == "" {
		return access, nil
	}
	files := httpd.TLSFiles{Cert: a.TLSCert, Key: a.TLSKey, ClientCA: a.TLSClientCA}
	var names []string
	var err error
	if access.TLS, names, err = files.Load(log); err != nil {
		return access, cli.WithHint(err, "--tls-cert FILE, --tls-key FILE and --tls-client-ca FILE are in PEM: text that begins with -----BEGIN")
	}
	access.Hosts = append(names, access.Hosts...)
	if a.TLSClientCA != "" {
		access.CertHint = "client certificates that the CA in " + a.TLSClientCA + " has signed are taken, too"
	}
	return access, nil
}

// token reads or makes the token.
func (a Access) token(call *cli.Call, access *httpd.Access) error {
	path, err := a.tokenPath()
	if err != nil {
		return err
	}
	token, made, err := httpd.TokenFile(path)
	if err != nil {
		return err
	}
	if made {
		fmt.Fprintf(call.Stderr, "made a token for callers from other machines: %s\n", path)
	}
	access.Token, access.TokenHint = token, "the token is in "+path+" on the server's machine"
	return nil
}

func (a Access) tokenPath() (string, error) {
	if a.TokenFile != "" {
		return a.TokenFile, nil
	}
	return usualToken()
}
