package hive

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/launch"
)

const (
	// keptSamples are those of the last minutes: five, unless Config says otherwise.
	keptSamples = 60
	// sampleLimit is how long a keeper may take to say what its worker uses.
	sampleLimit = 2 * time.Second
)

// usage is what workers used over the last minutes.
type usage struct {
	mu    sync.Mutex
	byID  map[string][]client.Sample
	grown chan struct{} // closed, and replaced, with each round
}

func newUsage() *usage {
	return &usage{byID: map[string][]client.Sample{}, grown: make(chan struct{})}
}

// sampling looks at all workers every few seconds until ctx ends.
func (h *Hive) sampling(ctx context.Context) error {
	tick := time.NewTicker(h.cfg.Sample)
	defer tick.Stop()
	for {
		own, err := h.launches()
		if err != nil {
			h.log.Debug("what the workers use is not known", "err", err)
		}
		h.usage.add(h.sample(ctx, own))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sample asks the keepers side by side. One that does not answer has no sample.
func (h *Hive) sample(ctx context.Context, own []launch.Launch) map[string]client.Sample {
	ctx, cancel := context.WithTimeout(ctx, sampleLimit)
	defer cancel()
	var mu sync.Mutex
	found := map[string]client.Sample{}
	var asking sync.WaitGroup
	for _, l := range own {
		if l.PID == 0 {
			continue
		}
		asking.Go(func() {
			r, err := launch.Open(h.cfg.RuntimeDir, l.ID)
			if err != nil {
				return
			}
			defer r.Close()
			i, err := r.Inspect(ctx)
			if err != nil || i.Processes == 0 {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found[l.ID] = client.Sample{Time: time.Now().UTC(), RSSBytes: i.RSS, CPUMS: i.CPUMS, Processes: i.Processes}
		})
	}
	asking.Wait()
	return found
}

// add keeps a round of samples, and forgets who is in it no more.
func (u *usage) add(round map[string]client.Sample) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id := range u.byID {
		if _, there := round[id]; !there {
			delete(u.byID, id)
		}
	}
	for id, s := range round {
		kept := u.byID[id]
		if len(kept) >= keptSamples {
			kept = kept[len(kept)-keptSamples+1:]
		}
		u.byID[id] = append(kept[:len(kept):len(kept)], s) // readers have the old one
	}
	close(u.grown)
	u.grown = make(chan struct{})
}

func (u *usage) of(id string) (samples []client.Sample, grown <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.byID[id], u.grown
}

// streamUsage tells what a worker used over the last minutes, and then each new sample,
// until the worker is gone. With ?follow=false it ends with what there is.
func (h *Hive) streamUsage(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if _, err := h.find(id); err != nil {
		return err
	}
	to := httpd.NewEvents(w)
	samples, grown := h.usage.of(id)
	if to.SendJSON("history", append([]client.Sample{}, samples...)) != nil || r.URL.Query().Get("follow") == "false" {
		return nil
	}
	var last time.Time
	if n := len(samples); n > 0 {
		last = samples[n-1].Time
	}
	for {
		select {
		case <-grown:
		case <-h.leaving:
			return nil
		case <-r.Context().Done():
			return nil
		}
		samples, grown = h.usage.of(id)
		if len(samples) == 0 {
			if _, err := h.find(id); err != nil || to.Alive() != nil {
				return nil
			}
			continue
		}
		for _, s := range samples {
			if s.Time.After(last) && to.SendJSON("", s) != nil {
				return nil
			}
		}
		last = samples[len(samples)-1].Time
	}
}
