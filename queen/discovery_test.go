package queen_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
	"github.com/rbee-launch/rbee-launch/worker"
)

// The first document's flow 2 (and its flow 4): the worker was there before the
// queen. She finds it in the registry and asks for its capabilities; it finds her
// there too, and beats to her.
func TestWorkerStartsBeforeTheQueen(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	rc := registryClient(t, reg)
	workerURL, _ := run(t, worker.New(worker.Config{Model: "tiny", RegistryURL: reg}).Run)
	hive := modelServer(t, tells(`{"cores":2}`))
	hive.Kind, hive.ID, hive.WorkerType, hive.Model = registry.Hive, "box", "", ""
	if _, err := rc.Register(t.Context(), hive); err != nil {
		t.Fatal(err)
	}
	awaitListed(t, rc, 1)
	announceToQueen(t, rc, componentAt(t, workerURL))

	url, stopQueen := startQueen(t, queen.Config{RegistryURL: reg})
	list := await(t, queenClient(t, url), "the worker, online and beating to both", func(l []client.Worker) bool {
		return len(l) == 1 && l[0].Status == registry.Online && l[0].Capabilities != nil &&
			slices.Equal(l[0].KnownFrom, []string{"queen", "registry"})
	})
	if list[0].Capabilities["simulation"] != true || list[0].Model != "tiny" {
		t.Errorf("the worker is %+v", list[0])
	}
	awaitHives(t, url, `"cores":2`)

	stopQueen()
	if found, err := rc.Queen(t.Context()); err != nil || found.Value != nil {
		t.Errorf("the queen is gone, but registered: %+v, %v", found, err)
	}
}

// announceToQueen beats for w to the queen that the registry knows, once there is
// one. (Not to the one at the default address: that is not this test's.)
func announceToQueen(t *testing.T, rc *registry.Client, w registry.Component) {
	t.Helper()
	find := func(ctx context.Context) (string, error) {
		answer, err := rc.Queen(ctx)
		if err != nil || answer.Value == nil {
			return "", errors.New("no queen yet")
		}
		return fmt.Sprintf("http://%s:%d", answer.Value.Hostname, answer.Value.Port), nil
	}
	q, err := client.New(client.Config{Find: find})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	a := registry.Announcement{To: q, Component: w, Interval: 10 * time.Millisecond}
	var announcing sync.WaitGroup
	announcing.Go(func() { a.Run(ctx) })
	t.Cleanup(func() {
		stop()
		announcing.Wait()
		q.Close()
	})
}

func awaitListed(t *testing.T, rc *registry.Client, workers int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		list, err := rc.Workers(t.Context(), registry.Filter{})
		if err == nil && len(list.Value) == workers {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the registry never listed %d workers: %+v, %v", workers, list, err)
		}
	}
}

func awaitHives(t *testing.T, url, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		body := get(t, url+"/v1/queen/hives")
		if containsAll(body, `"hive_id":"box"`, `"status":"online"`, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the hives are %s", body)
		}
	}
}

// The second document's flows 2 and 3: the queen is there, whoever spawned the
// worker registers it, and it beats. There is no registry at all.
func TestSpawnerRegistersTheWorker(t *testing.T) {
	t.Parallel()
	url, _ := startQueen(t, queen.Config{})
	for _, spawner := range []string{"gui", "hive-localhost"} {
		t.Run(spawner, func(t *testing.T) {
			t.Parallel()
			workerURL, _ := run(t, worker.New(worker.Config{Model: "tiny"}).Run)
			q, err := client.New(client.Config{URL: url, SpawnedBy: spawner})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(q.Close)
			spawned := componentAt(t, workerURL)
			mine := func(l []client.Worker) *client.Worker {
				for _, w := range l {
					if w.WorkerID == spawned.ID {
						return &w
					}
				}
				return nil
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			a := registry.Announcement{To: q, Component: spawned, Interval: 10 * time.Millisecond}
			var announcing sync.WaitGroup
			announcing.Go(func() { a.Run(ctx) })
			list := await(t, q, "the worker, online, with capabilities", func(l []client.Worker) bool {
				w := mine(l)
				return w != nil && w.Status == registry.Online && w.Capabilities != nil
			})
			if got := mine(list); got.SpawnedBy != spawner || got.Capabilities["simulation"] != true {
				t.Errorf("the worker is %+v", got)
			}
			stop()
			announcing.Wait()
			await(t, q, "the worker gone", func(l []client.Worker) bool { return mine(l) == nil })
		})
	}
}

func TestLeavingTheRegistryIsLeavingTheQueen(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	rc := registryClient(t, reg)
	url, _ := startQueen(t, queen.Config{RegistryURL: reg, OfflineAfter: time.Hour})
	q := queenClient(t, url)
	quiet, beating := modelServer(t, http.NotFound), modelServer(t, http.NotFound)
	for _, w := range []registry.Component{quiet, beating} {
		if _, err := rc.Register(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	await(t, q, "both workers", func(l []client.Worker) bool { return len(l) == 2 })
	if err := q.Heartbeat(t.Context(), beating); err != nil { // known from the registry: no registration needed
		t.Fatal(err)
	}
	for _, w := range []registry.Component{quiet, beating} {
		if err := rc.Unregister(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	list := await(t, q, "one worker", func(l []client.Worker) bool {
		return len(l) == 1 && !slices.Contains(l[0].KnownFrom, "registry")
	})
	if list[0].WorkerID != beating.ID || list[0].Status != registry.Online {
		t.Errorf("left is %+v", list[0])
	}
}

func TestDismissedIsGoneThoughTheRegistryListsIt(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	rc := registryClient(t, reg)
	url, _ := startQueen(t, queen.Config{RegistryURL: reg})
	q := queenClient(t, url)
	first, second := modelServer(t, http.NotFound), modelServer(t, http.NotFound)
	if _, err := rc.Register(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	await(t, q, "the worker", func(l []client.Worker) bool { return len(l) == 1 })
	if err := q.Unregister(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if _, err := rc.Register(t.Context(), second); err != nil { // a new list, with both
		t.Fatal(err)
	}
	list := await(t, q, "the second worker", func(l []client.Worker) bool { return len(l) > 0 })
	if len(list) != 1 || list[0].WorkerID != second.ID {
		t.Errorf("the workers are %+v", list)
	}
}

// A registry that is restarted has forgotten everyone; a queen has not.
func TestTheRegistryGoesAwayAndComesBackEmpty(t *testing.T) {
	t.Parallel()
	var life atomic.Pointer[http.Handler]
	begin := func() {
		h := server.New(server.Config{}).Handler()
		life.Store(&h)
	}
	begin()
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h := life.Load()
		if h == nil {
			panic(http.ErrAbortHandler)
		}
		(*h).ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	rc := registryClient(t, front.URL)
	w, later := modelServer(t, http.NotFound), modelServer(t, http.NotFound)
	if _, err := rc.Register(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	url, _ := startQueen(t, queen.Config{RegistryURL: front.URL})
	q := queenClient(t, url)
	await(t, q, "the worker", func(l []client.Worker) bool { return len(l) == 1 })

	life.Store(nil)
	front.CloseClientConnections()
	awaitHealth(t, url, "away")
	if list, err := q.Workers(t.Context()); err != nil || len(list) != 1 || list[0].Status != registry.Online {
		t.Errorf("while the registry is away: %+v, %v", list, err)
	}
	begin()
	if _, err := rc.Register(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	list := await(t, q, "both workers", func(l []client.Worker) bool { return len(l) == 2 })
	for _, got := range list {
		if got.Status != registry.Online {
			t.Errorf("%s is %s", got.WorkerID, got.Status)
		}
	}
}

func TestLifeWithoutTheRegistryThatWasPromised(t *testing.T) {
	t.Parallel()
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close() // its port is refused
	url, _ := startQueen(t, queen.Config{RegistryURL: nobody.URL})
	q := queenClient(t, url)
	w := modelServer(t, http.NotFound)
	if _, err := q.Register(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if err := q.Heartbeat(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, url, "away")
	if list, err := q.Workers(t.Context()); err != nil || len(list) != 1 || list[0].Status != registry.Online {
		t.Errorf("%+v, %v", list, err)
	}
}

// A queen who starts while the registry is away has its last list, and claims of nobody on it
// that it lives.
func TestAQueenRemembersAcrossHerLives(t *testing.T) {
	t.Parallel()
	life := server.New(server.Config{}).Handler()
	front := httptest.NewServer(life)
	rc := registryClient(t, front.URL)
	w := modelServer(t, http.NotFound)
	if _, err := rc.Register(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	cfg := queen.Config{RegistryURL: front.URL, CacheDir: t.TempDir()}
	url, stop := startQueen(t, cfg)
	await(t, queenClient(t, url), "the worker", func(l []client.Worker) bool { return len(l) == 1 })
	stop()
	front.Close()

	url, _ = startQueen(t, cfg)
	q := queenClient(t, url)
	list := await(t, q, "the worker of old", func(l []client.Worker) bool { return len(l) == 1 })
	if list[0].Status != registry.Registered || list[0].WorkerID != w.ID {
		t.Errorf("she knows %+v", list[0])
	}
	awaitHealth(t, url, "away")
	if err := q.Heartbeat(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	await(t, q, "the worker online", func(l []client.Worker) bool { return l[0].Status == registry.Online })
}

func awaitHealth(t *testing.T, url, of string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		status, _, health := ask(t, "GET", url+"/health", "")
		if status == http.StatusOK && health["registry"] == of {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("/health is %d %v", status, health)
		}
	}
}

func TestAWrongRegistryAddressIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := queen.New(queen.Config{RegistryURL: "box1:7830"}).Run(t.Context(), ln); err == nil {
		t.Error("it ran")
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is still open: %v", err)
	}
}
