package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/scrape"
	"github.com/rbee-launch/rbee-launch/registry"
)

// counts are what the registry tells Prometheus of itself, besides what it holds.
type counts struct {
	registrations prometheus.Counter
	heartbeats    prometheus.Counter
	changes       *prometheus.CounterVec // by op
	dropped       *prometheus.CounterVec // by reason
	serve         httpd.Handler
}

func newCounts(s *Server) *counts {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "rbee_registry_" + name, Help: help}
	}
	c := &counts{
		registrations: prometheus.NewCounter(counter("registrations_total", "Registrations that were taken, those that changed nothing included.")),
		heartbeats:    prometheus.NewCounter(counter("heartbeats_total", "Heartbeats that were taken.")),
		changes:       prometheus.NewCounterVec(counter("changes_total", "Visible changes."), []string{"op"}),
		dropped:       prometheus.NewCounterVec(counter("watchers_dropped_total", "Watchers that were dropped."), []string{"reason"}),
	}
	c.serve = scrape.Handler(
		c.registrations, c.heartbeats, c.changes, c.dropped, holdings{s},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rbee_registry_watchers", Help: "Clients that watch or poll at present."},
			func() float64 { return float64(s.watching.Load()) }),
	)
	return c
}

// holdings counts the components of one view, so that the figures belong together.
type holdings struct{ s *Server }

var (
	componentsDesc = prometheus.NewDesc("rbee_registry_components", "Components that are registered.", []string{"component_type", "status"}, nil)
	revisionDesc   = prometheus.NewDesc("rbee_registry_revision", "The revision: the number of visible changes since the start.", nil, nil)
)

// Describe implements prometheus.Collector.
func (h holdings) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(h, to) }

// Collect implements prometheus.Collector.
func (h holdings) Collect(to chan<- prometheus.Metric) {
	type class struct {
		kind   registry.Kind
		status registry.Status
	}
	found := map[class]int{}
	for _, kind := range []registry.Kind{registry.Hive, registry.Worker, registry.Queen, registry.GUI} {
		for _, status := range []registry.Status{registry.Online, registry.Offline} {
			found[class{kind, status}] = 0 // so that a fall to none shows
		}
	}
	v := h.s.store.current()
	for r := range v.from("", "") {
		found[class{r.Kind, r.Status}]++
	}
	for c, n := range found {
		to <- prometheus.MustNewConstMetric(componentsDesc, prometheus.GaugeValue, float64(n), string(c.kind), string(c.status))
	}
	to <- prometheus.MustNewConstMetric(revisionDesc, prometheus.GaugeValue, float64(v.revision))
}
