package queen

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rbee-launch/rbee-launch/internal/openai"
	"github.com/rbee-launch/rbee-launch/registry"
)

// figures are what the queen tells Prometheus of the requests that she passes on.
type figures struct {
	requests    *prometheus.CounterVec // by endpoint and how it ended
	running     prometheus.Gauge
	firstByte   *prometheus.HistogramVec // by endpoint
	unreachable prometheus.Counter
}

func newFigures() *figures {
	return &figures{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rbee_queen_requests_total",
			Help: "Requests to models by endpoint and result: 2xx, 4xx, 5xx, aborted (cut after it began), or cancelled (the client hung up).",
		}, []string{"endpoint", "result"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rbee_queen_requests_running",
			Help: "Requests to models being passed on now.",
		}),
		firstByte: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rbee_queen_first_byte_seconds",
			Help:    "From the choice of a worker to the first byte of its answer, by endpoint.",
			Buckets: []float64{.005, .02, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900},
		}, []string{"endpoint"}),
		unreachable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rbee_queen_workers_unreachable_total",
			Help: "How often a request did not reach the worker that was chosen, and went to another if there was one.",
		}),
	}
}

func (f *figures) collectors() []prometheus.Collector {
	return []prometheus.Collector{f.requests, f.running, f.firstByte, f.unreachable}
}

// resultOf is what an answer is counted as.
func resultOf(status int, err error) string {
	if err != nil {
		status = openai.Status(err)
	}
	return fmt.Sprintf("%dxx", status/100)
}

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
