package doctor

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	psnet "github.com/shirou/gopsutil/v3/net"
	"golang.org/x/sys/unix"

	"github.com/rbee-launch/rbee-launch/internal/sockdiag"
	"github.com/rbee-launch/rbee-launch/ports"
)

// Config says where to look. The zero value looks at no daemon and no folder.
type Config struct {
	Ports           ports.Config
	Registry, Queen Daemon
	RuntimeDir      string // need not exist, as the next
	StateDir        string
}

// Daemon is one of rbee's, where launches expect it.
type Daemon struct {
	URL string // "" for none
	// Ask finds out whether what answers is what is wanted.
	Ask func(ctx context.Context, url string) error
	TLS *tls.Config // for an https URL, when its clock is looked at; nil is the usual
}

// askLimit bounds each question to a daemon.
const askLimit = 3 * time.Second

// Gather looks at the machine. It ends early with ctx, and what it could not look at by
// then is unknown.
func Gather(ctx context.Context, cfg Config) Facts {
	f := Facts{System: system(), Limits: limits()}
	f.Folders = Folders{
		// In folders whose names can be guessed a link may be another user's trap.
		Runtime: folder(cfg.RuntimeDir, os.Lstat), Leases: folder(ports.DefaultDir, os.Lstat),
		State: folder(cfg.StateDir, os.Stat),
	}
	f.Clock = Clock{Built: built()}
	f.Network.Range = cfg.Ports.Range
	var asking sync.WaitGroup
	asking.Go(func() { f.Network.Registry = cfg.Registry.look(ctx, "registry") })
	asking.Go(func() { f.Network.Queen = cfg.Queen.look(ctx, "queen") })
	asking.Go(func() { f.Clock.Now, f.Clock.Registry = clocks(ctx, cfg.Registry) })
	asking.Go(func() {
		f.Network.Taken, f.Network.Err = ports.Leases(ctx, cfg.Ports)
	})
	asking.Wait()
	if !f.Network.Registry.Is {
		f.Clock.Registry = time.Time{} // a stranger told it
	}
	return f
}

func system() System {
	s := System{OS: runtime.GOOS, Arch: runtime.GOARCH}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		s.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	return s.guards()
}

// built is when this program was: its commit, or its file.
func built() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
					return t
				}
			}
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return time.Time{}
	}
	info, err := os.Stat(exe)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// look asks the daemon, and about whoever has its port.
func (d Daemon) look(ctx context.Context, name string) Service {
	s := Service{Name: name, URL: d.URL}
	if d.URL == "" {
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	u, err := url.Parse(d.URL)
	if err != nil {
		s.Err = err
		return s
	}
	s.Port, s.Local = portOf(u), isHere(u.Hostname())
	if s.Err = d.Ask(ctx, d.URL); s.Err == nil {
		s.Is, s.Open = true, true
	} else {
		s.Open = opens(ctx, u.Hostname(), s.Port)
	}
	if s.Local && s.Open {
		s.Holder = sockdiag.Listener(ctx, func(c psnet.ConnectionStat) bool { return int(c.Laddr.Port) == s.Port })
	}
	return s
}

func portOf(u *url.URL) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// isHere reports whether a host is this machine by its name alone.
func isHere(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func opens(ctx context.Context, host string, port int) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// clocks reads the time here and, where there is an answer that tells it, there.
func clocks(ctx context.Context, registry Daemon) (here, there time.Time) {
	if registry.URL == "" {
		return time.Now(), there
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, registry.URL+"/health", nil)
	if err != nil {
		return time.Now(), there
	}
	asking := http.DefaultTransport.(*http.Transport).Clone()
	asking.DisableKeepAlives, asking.TLSClientConfig = true, registry.TLS.Clone()
	resp, err := (&http.Client{Transport: asking}).Do(req)
	if err != nil {
		return time.Now(), there
	}
	defer resp.Body.Close()
	there, err = http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Now(), time.Time{}
	}
	return time.Now(), there.Add(time.Second / 2) // it tells whole seconds, cut off
}

func limits() Limits {
	var l Limits
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		l.OpenFiles = files.Max
	}
	l.Processes = quotas()
	return l
}
