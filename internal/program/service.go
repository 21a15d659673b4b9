package program

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/sdnotify"
	"github.com/rbee-launch/rbee-launch/registry"
)

const (
	// extension is what a daemon that loads asks its service manager for with each
	// answer that says so.
	extension = 15 * time.Second
	// answerLimit is how long an answer to oneself may take.
	answerLimit = 5 * time.Second
	// firstLook and lastLook are between looks at a daemon that is not ready yet.
	firstLook, lastLook = 5 * time.Millisecond, time.Second
)

// serve runs a daemon whose listener is open. A service manager, if there is one, is
// told that it is ready, lives and stops. Its proof is what others would go by, too:
// the answer to GET /health.
func serve(ctx context.Context, log *slog.Logger, ln net.Listener, access httpd.Access, run func(context.Context) error) error {
	service := sdnotify.Start(log)
	if service == nil {
		return run(ctx)
	}
	defer service.Close()
	scheme := "http"
	if access.TLS != nil {
		scheme = "https"
	}
	d := daemon{
		service: service, url: scheme + "://" + reachable(ln.Addr()) + "/health", token: access.Token,
		// What is to be proved is that it takes new callers, and no proxy is among them.
		client: &http.Client{Timeout: answerLimit, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: ownOnly(access.TLS)}},
	}
	life, end := context.WithCancel(ctx)
	var attending sync.WaitGroup
	attending.Go(func() { d.attend(life) })
	defer attending.Wait()
	defer end()
	return run(ctx)
}

// ownOnly takes the certificate that the daemon itself shows, in whatever name it is, and
// no other.
func ownOnly(server *tls.Config) *tls.Config {
	if server == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // in favour of a stricter look:
		VerifyConnection: func(s tls.ConnectionState) error {
			own, err := server.GetCertificate(nil)
			if err == nil && !bytes.Equal(own.Certificate[0], s.PeerCertificates[0].Raw) {
				err = errors.New("another certificate than the daemon's own is shown at its address")
			}
			return err
		},
	}
}

// reachable is the address at which this machine reaches a listener. Go's on a wildcard
// listens on IPv4, too, however it is written.
func reachable(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(at.Port())))
}

// daemon is one as its service manager sees it.
type daemon struct {
	service *sdnotify.Service
	url     string
	token   string
	client  *http.Client
}

func (d daemon) attend(ctx context.Context) {
	defer d.service.Stopping("stopping")
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		status, err := d.health(ctx)
		if status == http.StatusOK {
			break
		}
		if err == nil {
			d.service.Alive(extension)
			d.service.Status(fmt.Sprintf("loading: its health is %d", status))
		}
		if !pause(ctx, wait) {
			return
		}
	}
	d.service.Ready("ready at " + d.url)
	every := d.service.WatchdogInterval()
	if every == 0 {
		<-ctx.Done()
		return
	}
	for pause(ctx, every) {
		if _, err := d.health(ctx); err == nil {
			d.service.Alive(0)
		}
	}
}

// health is the status of the daemon's own answer. Any is a sign of life.
func (d daemon) health(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return 0, err
	}
	registry.ShowToken(req, d.token)
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// pause reports whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
