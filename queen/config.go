package queen

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Config is a queen's configuration. The zero value knows no registry: only what
// registers with her directly.
type Config struct {
	ID                string        // her component_id; "queen" when empty
	Advertise         string        // the host under which others reach her; "localhost" when empty
	Hidden            bool          // she reads the registry, and is not listed there
	RegistryURL       string        // "" is none
	Token             string        // what a registry, hives and workers on other machines want to see
	TLS               *tls.Config   // for those at https URLs; trusts the system's roots when nil
	HeartbeatInterval time.Duration // hers, to the registry; registry.HeartbeatInterval when zero
	PollInterval      time.Duration // between looks at a registry that can't be watched; 1 s when zero
	CacheDir          string        // where the registry's last answers outlive her; "" is nowhere

	// OfflineAfter: a worker silent for so long is offline, and a hive that starts one is
	// given up; 90 s when zero.
	OfflineAfter time.Duration
	ForgetAfter  time.Duration // one offline for so long, and not in the registry, is forgotten; 10 min when zero
	MaxWorkers   int           // 10,000 when zero; registrations of more are refused with 503

	FetchTimeout time.Duration // for one answer of /capabilities; 5 s when zero
	FetchRetry   time.Duration // until one that did not answer is asked again; 30 s when zero
	FetchAtOnce  int           // how many are asked at the same time; 8 when zero

	Limits Limits          // of requests to models
	Drain  time.Duration   // how long those that run may take at the end; 5 s when zero
	Hurry  <-chan struct{} // when closed, no time at all; may be nil

	// ReadTime is how long a client may take to send the body of any other request; 30 s when zero.
	ReadTime time.Duration

	Access httpd.Access
	Log    *slog.Logger // silent when nil
}

func (c Config) withDefaults() Config {
	c.ID = cmp.Or(c.ID, "queen")
	c.Advertise = cmp.Or(c.Advertise, "localhost")
	c.HeartbeatInterval = cmp.Or(c.HeartbeatInterval, registry.HeartbeatInterval)
	c.PollInterval = cmp.Or(c.PollInterval, time.Second)
	c.OfflineAfter = cmp.Or(c.OfflineAfter, 90*time.Second)
	c.ForgetAfter = cmp.Or(c.ForgetAfter, 10*time.Minute)
	c.MaxWorkers = cmp.Or(c.MaxWorkers, 10_000)
	c.FetchTimeout = cmp.Or(c.FetchTimeout, 5*time.Second)
	c.FetchRetry = cmp.Or(c.FetchRetry, 30*time.Second)
	c.FetchAtOnce = cmp.Or(c.FetchAtOnce, 8)
	c.Limits = c.Limits.withDefaults()
	c.Drain = cmp.Or(c.Drain, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
