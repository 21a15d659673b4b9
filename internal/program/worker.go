package program

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/worker"
)

// codeCrashed is the exit code of a crash that was asked for: EX_SOFTWARE of
// sysexits.h.
const codeCrashed = 70

// Worker is llm-worker-rbee's command line.
type Worker struct {
	Port      int      `help:"The port to listen on; 0 takes any." required:"" placeholder:"N"`
	Host      string   `help:"The address to listen on (default: 127.0.0.1, or 0.0.0.0 when others are to reach it)." placeholder:"ADDRESS"`
	Model     string   `help:"The model it pretends to serve." default:"rbee-simulation"`
	WorkerID  ID       `name:"worker-id" help:"Its id (default: worker-llm-PORT)." placeholder:"ID"`
	Advertise cli.Host `help:"The host under which others reach it (default: localhost, or the address by which a registry on another machine is reached)." placeholder:"HOST"`
	QueenURL  *string  `name:"queen-url" help:"The queen (default: the one the registry knows, else ${queen}); empty for none." placeholder:"URL"`
	RegistryURL
	Beats
	Access
	Trust
	cli.LogFlags

	LoadTime        time.Duration `help:"How long it pretends to load." group:"Simulation:"`
	TokensPerSecond float64       `help:"The pace of an answer; 0 is as fast as can be." group:"Simulation:" placeholder:"N"`
	MemoryMB        int64         `name:"memory-mb" help:"Memory to take, for real." group:"Simulation:" placeholder:"N"`

	NeverReady     bool          `help:"Load for ever." group:"Faults:"`
	UnhealthyAfter time.Duration `help:"Answer /health with 503 after so long." group:"Faults:"`
	FailOn         int           `help:"Answer the N-th request with 500." group:"Faults:" placeholder:"N"`
	CrashOn        int           `help:"Crash at the N-th request." group:"Faults:" placeholder:"N"`
	CrashAfter     time.Duration `help:"Crash after so long." group:"Faults:"`
	WaitForClients bool          `help:"Do not stop while a client is connected; a second signal ends that." group:"Faults:"`
	IgnoreSIGTERM  bool          `name:"ignore-sigterm" help:"Take no notice of SIGTERM." group:"Faults:"`
}

// Run serves until a signal ends it, or a fault that was asked for.
func (w *Worker) Run(call *cli.Call) error {
	log := w.Logger(call.Stderr)
	ctx := call.Context
	if w.IgnoreSIGTERM {
		ctx = context.WithoutCancel(ctx)
	}
	ln, access, err := w.open(ctx, call, log, net.JoinHostPort(w.binds(ctx), strconv.Itoa(w.Port)), "--port N or --host ADDRESS")
	if err != nil {
		return err
	}
	shown, err := w.Shown(w.TokenFile)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	advertise, hidden := advertised(ctx, log, w.Advertise, ln, w.RegistryURL.RegistryURL, "--host ADDRESS")
	cfg := worker.Config{
		WorkerID: string(w.WorkerID), Model: w.Model,
		LoadTime: w.LoadTime, TokensPerSecond: w.TokensPerSecond, Memory: w.MemoryMB << 20,
		Faults: worker.Faults{
			NeverReady: w.NeverReady, UnhealthyAfter: w.UnhealthyAfter,
			FailOn: w.FailOn, CrashOn: w.CrashOn, CrashAfter: w.CrashAfter,
			WaitForClients: w.WaitForClients,
		},
		Hurry:       call.Hurry,
		RegistryURL: w.RegistryURL.RegistryURL, FindQueen: w.QueenURL == nil,
		HeartbeatInterval: w.HeartbeatInterval, Advertise: advertise, Token: shown.Token, TLS: shown.TLS,
		CacheDir: RegistryCache(), Access: access, Log: log,
	}
	if hidden {
		cfg.RegistryURL = ""
	}
	if w.QueenURL != nil {
		cfg.QueenURL = *w.QueenURL
	}
	err = serve(ctx, log, ln, access, func(ctx context.Context) error { return worker.New(cfg).Run(ctx, ln) })
	if errors.Is(err, worker.ErrCrashed) {
		return cli.WithCode(codeCrashed, err)
	}
	return err
}

// binds is the address to listen on: the one that was given, else all of them where others
// are to reach the worker, as launch.Config has it.
func (w *Worker) binds(ctx context.Context) string {
	if w.Host != "" {
		return w.Host
	}
	if w.Advertise != "" {
		return registry.BindFor(string(w.Advertise))
	}
	return registry.BindFor(registry.AdvertiseFor(ctx, w.RegistryURL.RegistryURL))
}
