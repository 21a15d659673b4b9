package hive

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/scrape"
	"github.com/rbee-launch/rbee-launch/launch"
)

// counts are what one hive tells Prometheus of itself.
type counts struct {
	spawns  *prometheus.CounterVec // by result
	adopted prometheus.Counter
	serve   httpd.Handler
}

func newCounts(h *Hive) *counts {
	c := &counts{
		spawns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rbee_hive_spawns_total", Help: "Operations that have ended, by result.",
		}, []string{"result"}),
		adopted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rbee_hive_adoptions_total", Help: "Workers that were given a keeper after theirs was killed.",
		}),
	}
	for _, result := range []client.Progress{client.Succeeded, client.Failed} {
		c.spawns.WithLabelValues(string(result)) // so that the first of them shows as a growth
	}
	c.serve = scrape.Handler(c.spawns, c.adopted, census{h})
	return c
}

// census tells of the workers as they are at the moment.
type census struct{ hive *Hive }

var workersDesc = prometheus.NewDesc("rbee_hive_workers", "Workers that the hive is the parent of.", []string{"status"}, nil)

// Describe implements prometheus.Collector.
func (c census) Describe(to chan<- *prometheus.Desc) { to <- workersDesc }

// Collect implements prometheus.Collector.
func (c census) Collect(to chan<- prometheus.Metric) {
	own, err := c.hive.launches()
	if err != nil {
		to <- prometheus.NewInvalidMetric(workersDesc, err)
		return
	}
	found := map[launch.Status]int{}
	for _, l := range own {
		found[l.Status]++
	}
	for _, status := range []launch.Status{
		launch.Starting, launch.IsReady, launch.IsUnhealthy, launch.InBackoff, launch.IsStopping, launch.IsOrphaned, launch.HasExited,
	} {
		to <- prometheus.MustNewConstMetric(workersDesc, prometheus.GaugeValue, float64(found[status]), string(status))
	}
}
