package worker

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Defaults of a Config.
const (
	DefaultModel         = "rbee-simulation"
	DefaultContextLength = 4096
	DefaultDrain         = 3 * time.Second
)

// workerType is what the registry and the queen call this kind of worker.
const workerType = "llm"

// ErrCrashed is what Run returns, wrapped with the reason, after a crash that
// Faults asked for.
var ErrCrashed = errors.New("simulated crash")

// Config is one simulated model server. The zero value is ready at once, answers
// as fast as it can, never fails and registers nowhere.
type Config struct {
	WorkerID      string // "worker-llm-PORT" when empty, with "@HOST" when others reach it at HOST
	Model         string // the one model served; DefaultModel when empty
	ContextLength int    // in tokens, prompt and answer together; DefaultContextLength when zero

	LoadTime        time.Duration   // how long it "loads": /health and the model's endpoints answer 503
	TokensPerSecond float64         // the pace of each answer; 0: no waiting
	Memory          int64           // bytes really allocated and touched from loading to the end
	Drain           time.Duration   // how long running answers may take at the end; DefaultDrain when zero
	Hurry           <-chan struct{} // when closed, no time at all; may be nil
	Faults          Faults

	RegistryURL       string        // "" registers with none
	QueenURL          string        // "" registers with none, unless FindQueen
	FindQueen         bool          // with no QueenURL: ask the registry where the queen is, else try the default address
	HeartbeatInterval time.Duration // to the registry; twice that to the queen; registry.HeartbeatInterval when zero
	Advertise         string        // the host under which others reach it; "localhost" when empty
	Token             string        // what the registry and the queen want to see from another machine
	TLS               *tls.Config   // for those at https URLs; trusts the system's roots when nil
	CacheDir          string        // where the registry's last answers outlive it; "" is nowhere

	ReadTime time.Duration // how long a client may take to send a request's body; 1 min when zero
	Access   httpd.Access
	Log      *slog.Logger // discarded when nil
}

// Faults are what can be made to go wrong. The zero value is a worker without
// any. Requests are those that a model would have to answer (chat, completions,
// embeddings), counted from 1.
type Faults struct {
	NeverReady     bool          // loading stops at 90 % and stays there
	UnhealthyAfter time.Duration // after being ready for so long /health answers 503 (and heartbeats stop)
	FailOn         int           // this request, and no other, is answered with 500
	CrashOn        int           // this request makes Run return ErrCrashed, its connection is aborted
	CrashAfter     time.Duration // Run returns ErrCrashed so long after its start
	WaitForClients bool          // a stop waits until no client is connected, or Hurry; llama-server does this
}

func (c Config) withDefaults() Config {
	if c.Model == "" {
		c.Model = DefaultModel
	}
	if c.ContextLength <= 0 {
		c.ContextLength = DefaultContextLength
	}
	if c.Drain <= 0 {
		c.Drain = DefaultDrain
	}
	if c.Advertise == "" {
		c.Advertise = "localhost"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// id is the worker's name when it listens on addr. A name that only this
// machine uses needs no host in it.
func (c Config) id(addr net.Addr) string {
	if c.WorkerID != "" {
		return c.WorkerID
	}
	return registry.WorkerID(workerType, port(addr), c.Advertise)
}

func port(addr net.Addr) int {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}
