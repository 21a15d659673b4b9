package program

import (
	"errors"
	"path/filepath"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/credentials"
)

// Trust are the flags of whatever calls servers on other machines. A server's own
// certificate is none to show them: most are for servers alone.
type Trust struct {
	TLSCA         string `name:"tls-ca" help:"The CA by which servers at https URLs are known (PEM; default: those that the system trusts)." placeholder:"FILE"`
	TLSClientCert string `name:"tls-client-cert" help:"A certificate to show them, in the token's place (PEM)." placeholder:"FILE"`
	TLSClientKey  string `name:"tls-client-key" help:"That certificate's private key (PEM)." placeholder:"FILE"`
}

// Validate is called by kong.
func (t Trust) Validate() error {
	if (t.TLSClientCert == "") != (t.TLSClientKey == "") {
		return errors.New("--tls-client-cert, --tls-client-key: there is one without the other")
	}
	return nil
}

// Files are those that the flags name. The token in the state folder is the one unless
// there is another.
func (t Trust) Files(token string) credentials.Files {
	if dir, err := cli.StateDir(); token == "" && err == nil {
		token = credentials.Usual(filepath.Join(dir, "token"))
	}
	return credentials.Files{Token: token, CA: t.TLSCA, Cert: t.TLSClientCert, Key: t.TLSClientKey}
}

// Shown reads them.
func (t Trust) Shown(token string) (credentials.Shown, error) {
	shown, err := t.Files(token).Read()
	if err != nil {
		err = cli.WithCode(cli.CodeUsage, err)
	}
	return shown, err
}
