package main

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rbee-launch/rbee-launch/internal/testca"
)

// certificates makes a CA, ca.pem, with a server's certificate for the names and one of a
// client's: server.pem, client.pem and their .key: certificates localhost.
func (s *story) certificates(ts *testscript.TestScript, _ bool, names []string) {
	ours, err := testca.New("the story's CA")
	ts.Check(err)
	ts.Check(ours.Write(ts.MkAbs("ca.pem")))
	ts.Check(ours.Issue(ts.MkAbs("server.pem"), ts.MkAbs("server.key"), testca.Server, names...))
	ts.Check(ours.Issue(ts.MkAbs("client.pem"), ts.MkAbs("client.key"), testca.Client))
}

// trusting is for requests of the story itself: they know the story's CA.
func trusting(ts *testscript.TestScript) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ts.ReadFile("ca.pem")))
	return &tls.Config{RootCAs: pool}
}
