package queen

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rbee-launch/rbee-launch/registry"
)

// census tells Prometheus whom the queen knows, all at one moment.
type census struct{ table *table }

var (
	workersDesc = prometheus.NewDesc("rbee_queen_workers", "Workers that the queen knows.", []string{"status"}, nil)
	hivesDesc   = prometheus.NewDesc("rbee_queen_hives", "Hives that the queen knows.", []string{"status"}, nil)
)

// Describe implements prometheus.Collector.
func (c census) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

// Collect implements prometheus.Collector.
func (c census) Collect(to chan<- prometheus.Metric) {
	found := c.table.count(time.Now())
	for kind, desc := range map[registry.Kind]*prometheus.Desc{registry.Worker: workersDesc, registry.Hive: hivesDesc} {
		// Each status, so that a fall to none shows.
		for _, status := range []registry.Status{registry.Registered, registry.Online, registry.Offline} {
			n := float64(found[class{kind, status}])
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, n, string(status))
		}
	}
}
