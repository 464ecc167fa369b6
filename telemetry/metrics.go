package telemetry

import (
	"net/http"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes is how many scrapes may run at a time; more are answered with 503.
const maxScrapes = 4

// pauses are the runtime's figures that explain a stalled loop: how long goroutines wait for a processor, and how long
// the garbage collector stops the world.
var pauses = regexp.MustCompile(`^/sched/(latencies|pauses/total/gc):seconds$`)

// Handler serves the metrics in the text format, compressed when the client accepts it. Any goroutine may call it.
func (r *Registry) Handler() http.Handler { return r.handler }

func newHandler(r *Registry) http.Handler {
	all := prometheus.NewRegistry()
	all.MustRegister(
		r,
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.GoRuntimeMetricsRule{Matcher: pauses})),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}
