package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// Probe is a question to a child that passes or not.
type Probe struct {
	// Name is what progress and errors call it: "GET http://127.0.0.1:8080/health".
	Name string
	// Check asks once; nil is a pass. Its error may be marked with Loading or Fatal.
	Check func(ctx context.Context, c Child) error
	// Timeout bounds one Check; 2 s when zero, none when negative.
	Timeout time.Duration
	// Period is the pause between two liveness checks; 5 s when zero; when negative there
	// are none. Readiness is asked after 5 ms at first, easing off to 250 ms, and sooner
	// when a line of output comes after some silence.
	Period time.Duration
	// Failures in a row make a ready child unhealthy; 3 when zero.
	Failures int

	notify    string // the name of the socket that it waits at; see Notify
	unnoticed bool   // the child does not notice that it is asked, and so prints nothing for it
}

// Child is what a probe may know of the child it asks.
type Child struct {
	PID    int
	Logged func(*regexp.Regexp) bool // whether a line of this life's output matched

	guard   *guard.Guard
	notices *notices
}

func (p Probe) withDefaults() Probe {
	if p.Timeout == 0 {
		p.Timeout = 2 * time.Second
	}
	if p.Period == 0 {
		p.Period = 5 * time.Second
	}
	if p.Failures <= 0 {
		p.Failures = 3
	}
	return p
}

func (p Probe) ask(ctx context.Context, c Child) error {
	if p.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, p.Timeout, fmt.Errorf("no answer within %s", p.Timeout))
		defer cancel()
	}
	err := p.Check(ctx, c)
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

// HTTP passes when a GET of the URL is answered with a status of 200-399; a 503
// counts as a sign of life. Name the literal address that the child was given:
// "localhost" may be tried as ::1 first.
func HTTP(target string) Probe {
	return HTTPStatus(target, 0, http.StatusServiceUnavailable)
}

// HTTPStatus is HTTP with the statuses that the server uses: pass is the one that
// passes (0: any of 200-399), loading the one that means "not yet" (0: none).
func HTTPStatus(target string, pass, loading int) Probe {
	client := &http.Client{
		// A fresh connection each time: a hung server answers no new one, and the child
		// is not kept busy with ours when it stops.
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return Probe{
		Name: "GET " + target,
		Check: func(ctx context.Context, _ Child) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
			if err != nil {
				return Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				return plainHTTP(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode == pass || (pass == 0 && resp.StatusCode >= 200 && resp.StatusCode <= 399) {
				return nil
			}
			err = errors.New("answers " + said(resp))
			if resp.StatusCode == loading {
				return Loading(err)
			}
			return err
		},
	}
}

// plainHTTP takes the method and URL off, which the probe's name has already.
func plainHTTP(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// TCP passes when the address takes a connection.
func TCP(addr string) Probe {
	return Probe{
		Name: "connect to " + addr,
		Check: func(ctx context.Context, _ Child) error {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			return conn.Close()
		},
	}
}

// LogLine passes once a line of this life's output matches; an earlier life's
// lines don't count.
func LogLine(pattern *regexp.Regexp) Probe {
	return Probe{
		Name:      fmt.Sprintf("a line of output like %q", pattern),
		unnoticed: true,
		Check: func(_ context.Context, c Child) error {
			if c.Logged(pattern) {
				return nil
			}
			return errUnseen
		},
	}
}
