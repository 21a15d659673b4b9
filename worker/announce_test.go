package worker_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
	"github.com/rbee-launch/rbee-launch/worker"
)

// places are a registry and a queen, and clients to look into them with.
type places struct {
	registryURL, queenURL string
	registry              *registry.Client
	queen                 *client.Client
}

func startPlaces(t *testing.T) places {
	t.Helper()
	reg := httptest.NewServer(server.New(server.Config{OnlineWindow: time.Hour}).Handler())
	t.Cleanup(reg.Close)
	q := httptest.NewServer(queen.New(queen.Config{}).Handler())
	t.Cleanup(q.Close)
	p := places{registryURL: reg.URL, queenURL: q.URL}
	var err error
	if p.registry, err = registry.NewClient(registry.Config{URL: reg.URL}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.registry.Close)
	if p.queen, err = client.New(client.Config{URL: q.URL}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.queen.Close)
	return p
}

// known is who is known in both places.
func (p places) known(t *testing.T) (inRegistry []registry.Entry, atQueen []client.Worker) {
	t.Helper()
	list, err := p.registry.Workers(t.Context(), registry.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	atQueen, err = p.queen.Workers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list.Value, atQueen
}

// awaitKnown waits until one worker is registered in both places, and online.
func (p places) awaitKnown(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		inRegistry, atQueen := p.known(t)
		if len(inRegistry) == 1 && len(atQueen) == 1 && atQueen[0].Status == registry.Online {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("registered are %+v and %+v", inRegistry, atQueen)
		}
	}
}

func TestItRegistersInBothPlacesAndSaysGoodbye(t *testing.T) {
	t.Parallel()
	p := startPlaces(t)
	r := start(t, worker.Config{
		WorkerID: "w", Model: "tiny", RegistryURL: p.registryURL, QueenURL: p.queenURL, HeartbeatInterval: 10 * time.Millisecond,
	})
	p.awaitKnown(t)
	inRegistry, atQueen := p.known(t)
	_, port := addressOf(t, r.url)
	if e := inRegistry[0]; e.ID != "w" || e.Model != "tiny" || e.WorkerType != "llm" || e.Port != port || e.Metadata["simulation"] != true {
		t.Errorf("in the registry it is %+v", e)
	}
	if inRegistry[0].InstanceID == "" || inRegistry[0].InstanceID != atQueen[0].InstanceID {
		t.Errorf("its instances are %q and %q", inRegistry[0].InstanceID, atQueen[0].InstanceID)
	}
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if inRegistry, atQueen = p.known(t); len(inRegistry) != 0 || len(atQueen) != 0 {
		t.Errorf("after its stop: %+v and %+v", inRegistry, atQueen)
	}
}

func TestACrashSaysNoGoodbye(t *testing.T) {
	t.Parallel()
	p := startPlaces(t)
	r := start(t, worker.Config{
		Model: "tiny", RegistryURL: p.registryURL, QueenURL: p.queenURL, HeartbeatInterval: 10 * time.Millisecond,
		Faults: worker.Faults{CrashOn: 1},
	})
	p.awaitKnown(t)
	if resp, err := http.Post(r.url+"/v1/embeddings", "application/json", nil); err == nil {
		resp.Body.Close()
	}
	if err := <-r.done; !errors.Is(err, worker.ErrCrashed) {
		t.Errorf("Run: %v", err)
	}
	if inRegistry, atQueen := p.known(t); len(inRegistry) != 1 || len(atQueen) != 1 {
		t.Errorf("after the crash: %+v and %+v", inRegistry, atQueen)
	}
}

func TestItIsNotRegisteredWhileItLoads(t *testing.T) {
	t.Parallel()
	p := startPlaces(t)
	var log lines
	r := start(t, worker.Config{
		RegistryURL: p.registryURL, QueenURL: p.queenURL, Faults: worker.Faults{NeverReady: true}, Log: log.logger(),
	})
	r.await(t, http.StatusServiceUnavailable)
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if regs := strings.Count(log.String(), "msg=registered"); regs != 0 {
		t.Errorf("it registered %d times:\n%s", regs, log.String())
	}
}

// The queen is where the registry says.
func TestItFindsTheQueenThroughTheRegistry(t *testing.T) {
	t.Parallel()
	p := startPlaces(t)
	host, port := addressOf(t, p.queenURL)
	if _, err := p.registry.Register(t.Context(), registry.Component{Kind: registry.Queen, ID: "queen", Hostname: host, Port: port}); err != nil {
		t.Fatal(err)
	}
	start(t, worker.Config{RegistryURL: p.registryURL, FindQueen: true, HeartbeatInterval: 10 * time.Millisecond})
	p.awaitKnown(t)
}

func TestAnAddressThatIsNoneEndsRunAtOnce(t *testing.T) {
	t.Parallel()
	for _, cfg := range []worker.Config{{RegistryURL: "box1:7830"}, {QueenURL: "box1:7833"}, {RegistryURL: "http://127.0.0.1:1", QueenURL: "/"}} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := worker.New(cfg).Run(context.WithoutCancel(t.Context()), ln); err == nil {
			t.Errorf("%q and %q: it ran", cfg.RegistryURL, cfg.QueenURL)
		}
	}
}

func addressOf(t *testing.T, url string) (host string, port int) {
	t.Helper()
	host, text, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		t.Fatal(err)
	}
	return host, port
}
