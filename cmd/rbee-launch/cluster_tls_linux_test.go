package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/testca"
)

// TestTwoMachinesWithTLS: what docs/cluster.md does with certificates of a CA of its own, by
// the token, and by client certificates in its place. Between machines, unlike at loopback,
// servers ask for either.
func TestTwoMachinesWithTLS(t *testing.T) {
	t.Parallel()
	for how, withToken := range map[string]bool{"token": true, "certificates": false} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := newSecureCluster(t, withToken)
			c.until("there is a hive", func() error { return c.listed("box2 +hive +online .*https://" + c.left.addr) })
			if out, err := c.launcher(c.front, "spawn", "--engine", "builtin", "--model", "demo"); err != nil {
				t.Fatal(err, out)
			}
			c.until("its worker is registered", func() error { return c.listed("worker-llm-.*@" + c.left.addr + " +llm +online") })
			if withToken { // which the built-in worker asks for, in any case
				wantAnswer(t, c.trusting(), c.queenURL, c.token, "demo")
			}
			if out, err := c.launcher(c.left, "stop", "--all"); err != nil {
				t.Errorf("stop it: %v: %s", err, out)
			}

			// Neither is asked for in vain.
			c.left.env = append(c.left.env, "RBEE_STATE_DIR="+t.TempDir(), "RBEE_TLS_CLIENT_CERT=", "RBEE_TLS_CLIENT_KEY=")
			if out, err := c.launcher(c.left, "ps", "--all"); err == nil || !strings.Contains(out, "need a token") {
				t.Errorf("without anything to show: %v: %s", err, out)
			}
		})
	}
}

// secureCluster is a registry and a queen on one machine and a hive on another, left.
type secureCluster struct {
	*cluster
	ca *testca.CA
}

func newSecureCluster(t *testing.T, withToken bool) secureCluster {
	t.Helper()
	lan, all := newNetwork(t, "box1", "box2")
	ca, err := testca.New("the cluster's CA")
	if err != nil {
		t.Fatal(err)
	}
	c := secureCluster{&cluster{T: t, lan: lan, front: all[0], left: all[1], right: all[1]}, ca}
	c.registryURL, c.queenURL = "https://"+c.front.addr+":7830", "https://"+c.front.addr+":7833"
	for _, m := range all {
		c.certify(m, !withToken)
	}
	c.front.start(c.registryURL, "rbee-registry")
	if withToken {
		c.shareToken()
	}
	c.front.start(c.registryURL, "queen-rbee")
	c.left.start(c.registryURL, "rbee-hive")
	return c
}

// certify gives a machine its certificates, and says so in its environment.
func (c secureCluster) certify(m *machine, clients bool) {
	c.Helper()
	in := func(name string) string { return filepath.Join(m.dir, name) }
	err := errors.Join(c.ca.Write(in("ca.pem")), c.ca.Issue(in("own.pem"), in("own.key"), testca.Server, m.name, m.addr))
	m.env = []string{"RBEE_TLS_CA=" + in("ca.pem"), "RBEE_TLS_CERT=" + in("own.pem"), "RBEE_TLS_KEY=" + in("own.key")}
	if clients {
		err = errors.Join(err, c.ca.Issue(in("client.pem"), in("client.key"), testca.Client))
		m.env = append(m.env, "RBEE_TLS_CLIENT_CA="+in("ca.pem"), "RBEE_TLS_CLIENT_CERT="+in("client.pem"), "RBEE_TLS_CLIENT_KEY="+in("client.key"))
	}
	if err != nil {
		c.Fatal(err)
	}
}

// launcher runs rbee-launch on a machine. What it printed is in the error, too.
func (c secureCluster) launcher(m *machine, args ...string) (string, error) {
	c.Helper()
	out, err := m.command(c.registryURL, "rbee-launch", args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("rbee-launch %v on %s: %w: %s", args, m.name, err, out)
	}
	return string(out), err
}

// listed wants a line of the registry's to match, as the first machine is told it.
func (c secureCluster) listed(line string) error {
	c.Helper()
	out, err := c.launcher(c.front, "ps", "--all")
	if err == nil && !regexp.MustCompile("(?m)^"+line).MatchString(out) {
		err = errors.New(out)
	}
	return err
}

// trusting asks from the first machine, and knows the CA.
func (c secureCluster) trusting() *http.Client {
	client := c.front.client()
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: c.ca.Pool()}
	return client
}
