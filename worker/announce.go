package worker

import (
	"cmp"
	"context"
	"net"
	"sync/atomic"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// announcements are the places where Config wants this life of the worker to be
// known. The caller calls hangUp when they are over.
func (w *Worker) announcements(addr net.Addr) (news []*registry.Announcement, hangUp func(), err error) {
	self := registry.Component{
		Kind:       registry.Worker,
		ID:         w.cfg.id(addr),
		InstanceID: ulid.Make().String(),
		Hostname:   w.cfg.Advertise,
		Port:       port(addr),
		WorkerType: workerType,
		Model:      w.cfg.Model,
		Metadata:   map[string]any{"simulation": true},
	}
	if w.cfg.Access.TLS != nil {
		self.Metadata[registry.SchemeKey] = "https"
	}
	var closers []func()
	hangUp = func() {
		for _, closeOne := range closers {
			closeOne()
		}
	}
	every := cmp.Or(w.cfg.HeartbeatInterval, registry.HeartbeatInterval)
	announce := func(name string, to registry.Registrar) *registry.Announcement {
		a := &registry.Announcement{
			To: mortal{to, &w.crashed}, Component: self, Interval: every,
			Healthy: w.healthy, Log: w.log.With("with", name),
		}
		news = append(news, a)
		return a
	}
	find := client.Default
	if w.cfg.RegistryURL != "" {
		reg, err := registry.NewClient(registry.Config{URL: w.cfg.RegistryURL, Token: w.cfg.Token, TLS: w.cfg.TLS, CacheDir: w.cfg.CacheDir, Log: w.log})
		if err != nil {
			return nil, nil, err
		}
		closers = append(closers, reg.Close)
		announce("registry", reg)
		find = client.Through(reg)
	}
	if w.cfg.QueenURL != "" || w.cfg.FindQueen {
		queen, err := client.New(client.Config{URL: w.cfg.QueenURL, Find: find, Token: w.cfg.Token, TLS: w.cfg.TLS, Log: w.log})
		if err != nil {
			hangUp()
			return nil, nil, err
		}
		closers = append(closers, queen.Close)
		a := announce("queen", queen)
		a.Interval, a.BeatAtOnce = 2*every, true
	}
	return news, hangUp, nil
}

func (w *Worker) healthy() bool { return phase(w.phase.Load()) == ready }

// mortal is a Registrar that is not told goodbye after a crash: the dead don't.
type mortal struct {
	registry.Registrar
	dead *atomic.Bool
}

func (m mortal) Unregister(ctx context.Context, c registry.Component) error {
	if m.dead.Load() {
		return nil
	}
	return m.Registrar.Unregister(ctx, c)
}
