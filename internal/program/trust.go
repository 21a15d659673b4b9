package program

import (
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
	return t.files("").Check()
}

func (t Trust) files(token string) credentials.Files {
	return credentials.Files{Token: token, CA: t.TLSCA, Cert: t.TLSClientCert, Key: t.TLSClientKey}
}

// usualToken is where the token is that counts unless another is named.
func usualToken() (string, error) {
	dir, err := cli.StateDir()
	return filepath.Join(dir, "token"), err
}

// Shown reads the files that the flags name. The token in the state folder is the one unless
// there is another.
func (t Trust) Shown(token string) (credentials.Shown, error) {
	_, shown, err := t.read(token)
	return shown, err
}

// read is Shown, and where that is from, for keepers: they read it themselves.
func (t Trust) read(token string) (from credentials.Files, shown credentials.Shown, err error) {
	if usual, err := usualToken(); token == "" && err == nil {
		token = credentials.Usual(usual)
	}
	from = t.files(token)
	if shown, err = from.Read(); err != nil {
		return from, shown, cli.WithCode(cli.CodeUsage, err)
	}
	from, err = from.Absolute()
	return from, shown, err
}
