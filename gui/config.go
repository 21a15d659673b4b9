package gui

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Config is a GUI's configuration. Here must be set.
type Config struct {
	ID                string      // its component_id; "gui" when empty
	Advertise         string      // the host under which others reach it; "localhost" when empty
	RegistryURL       string      // "" is none
	QueenURL          *string     // nil: the one that the registry knows, else the default; "" is none
	Token             string      // what those on other machines want to see
	TLS               *tls.Config // for those at https URLs; trusts the system's roots when nil
	CacheDir          string      // where the registry's last word is kept; nowhere when empty
	HeartbeatInterval time.Duration
	Version           string // the program's, for people

	// Here is how workers are spawned on this machine. Its ID, SpawnedBy, Everybody, URLs
	// and Log are filled in.
	Here hive.Config
	// Look is between looks at this machine's launches; 500 ms when zero.
	Look time.Duration

	// ReadTime is how long a client may take to send a request's body; 1 min when zero.
	ReadTime time.Duration

	Access httpd.Access
	Log    *slog.Logger // silent when nil
}

func (c Config) withDefaults() Config {
	c.ID = cmp.Or(c.ID, "gui")
	c.Advertise = cmp.Or(c.Advertise, "localhost")
	c.HeartbeatInterval = cmp.Or(c.HeartbeatInterval, registry.HeartbeatInterval)
	c.Look = cmp.Or(c.Look, 500*time.Millisecond)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	h := &c.Here
	h.ID, h.SpawnedBy, h.Everybody = c.ID, "gui", true
	h.RegistryURL, h.QueenURL, h.HeartbeatInterval, h.Log = c.RegistryURL, c.QueenURL, c.HeartbeatInterval, c.Log
	h.Advertise = cmp.Or(h.Advertise, c.Advertise)
	return c
}
