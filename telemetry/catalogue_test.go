package telemetry

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

const metricsDoc = "../docs/metrics.md"

// metricsMarkdown is what docs/metrics.md has to say.
func metricsMarkdown() string {
	var b strings.Builder
	b.WriteString(`# Metrics

Served in the Prometheus text format at ` + "`/metrics`" + ` of ` + "`metrics.address`" + `. Each event loop counts for itself without
locks; a scrape sums the loops and does not disturb them. Counters go on over reloads. The series of routers and services
that a reload removed stay until the process ends.

This page is made from the table in telemetry/series.go by ` + "`go test ./telemetry -run TestMetricsDoc -update`" + `.

| name | type | labels | meaning |
|---|---|---|---|
`)
	for _, d := range catalogue {
		labels := make([]string, len(d.labels))
		for i, l := range d.labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.kind, strings.Join(labels, ", "), d.help)
	}
	b.WriteString("\n## Buckets\n\nUpper bounds, inclusive:\n\n")
	for _, d := range catalogue {
		if d.kind == histogramKind {
			fmt.Fprintf(&b, "- `%s`: %s\n", d.name, strings.Trim(fmt.Sprint(d.scale.bounds), "[]"))
		}
	}
	b.WriteString(`
## Runtime and process

The usual ` + "`go_*` and `process_*`" + ` series of the Prometheus client for Go are served too. Worth a look when requests are
slow: ` + "`go_sched_latencies_seconds`" + ` (waiting for a processor), ` + "`go_sched_pauses_total_gc_seconds`" + ` (pauses of the
garbage collector), ` + "`process_open_fds` against `process_max_fds`" + `.

## Questions and where the answer is

| question | expression |
|---|---|
| Requests per second, by service | ` + "`sum by (service) (rate(traffic_requests_total[1m]))`" + ` |
| Part of the requests answered by 5xx | ` + "`sum(rate(traffic_requests_total{code=\"5xx\"}[5m])) / sum(rate(traffic_requests_total[5m]))`" + ` |
| What the proxy adds, 99th percentile | ` + "`histogram_quantile(0.99, sum by (le) (rate(traffic_added_seconds_bucket[5m])))`" + ` |
| Part of the requests on a reused connection | ` + "`sum by (service) (rate(traffic_upstream_connection_reuses_total[5m])) / sum by (service) (rate(traffic_requests_total[5m]))`" + ` |
| Is a loop stalled by slow work | ` + "`rate(traffic_loop_stalls_total[5m]) > 0`" + ` |
| Was the last configuration refused | ` + "`traffic_config_last_load_successful == 0`" + ` |
`)
	return b.String()
}

func TestMetricsDoc(t *testing.T) {
	want := metricsMarkdown()
	if *update {
		if err := os.WriteFile(metricsDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(metricsDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: run go test ./telemetry -run TestMetricsDoc -update", metricsDoc)
	}
}

// The names keep to the conventions of Prometheus.
func TestCatalogueNames(t *testing.T) {
	seen := make(map[string]bool)
	for i, d := range catalogue {
		if seen[d.name] || !strings.HasPrefix(d.name, "traffic_") || d.help == "" {
			t.Errorf("series %d, %q: named twice, without the prefix or without help", i, d.name)
		}
		seen[d.name] = true
		if strings.HasSuffix(d.name, "_total") != (d.kind == counterKind) {
			t.Errorf("%s is a %s: counters, and only they, end in _total", d.name, d.kind)
		}
		if (d.scale != nil) != (d.kind == histogramKind) {
			t.Errorf("%s is a %s: histograms, and only they, have a scale", d.name, d.kind)
		}
		if d.kind == histogramKind && !strings.HasSuffix(d.name, "_seconds") {
			t.Errorf("%s does not end in its unit", d.name)
		}
	}
}

// Describe and Collect must agree, or the library refuses the scrape.
func TestCollectIsDescribed(t *testing.T) {
	strict := prometheus.NewPedanticRegistry()
	r := New(1, "", []string{"syntax"})
	r.Route("a", "b")
	r.EntryPoint("e")
	r.Service("b")
	strict.MustRegister(r)
	if _, err := strict.Gather(); err != nil {
		t.Error(err)
	}
}
