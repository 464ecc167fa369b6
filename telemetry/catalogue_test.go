package telemetry

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
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
that a reload removed stay until the process ends; those of servers and circuit breakers end with them. telemetry/dashboard.json
is a dashboard of these series for Grafana: import it and choose the data source.

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
| Which servers get no requests | ` + "`traffic_server_up == 0 or traffic_server_ejected == 1 or traffic_server_draining == 1`" + ` |
| Which circuit breakers are open | ` + "`traffic_breaker_state == 2`" + ` |
| Do retries run out of their budget | ` + "`rate(traffic_upstream_retries_refused_total[5m]) > 0`" + ` |
| Is memory short | ` + "`traffic_overload_level > 0`" + ` |
| Which certificates expire within two weeks | ` + "`traffic_tls_certificate_expiry_timestamp_seconds - time() < 14 * 86400`" + ` |
| Was a changed certificate refused | ` + "`increase(traffic_tls_certificate_reloads_total{result=\"failure\"}[1h]) > 0`" + ` |
| Are keys of tokens older than half an hour | ` + "`time() - traffic_jwks_last_success_timestamp_seconds > 1800`" + ` |
| Was the last configuration refused | ` + "`traffic_config_last_load_successful == 0`" + ` |
`)
	return b.String()
}

// seriesName finds the names of our series in expressions, with what histograms put behind theirs.
var seriesName = regexp.MustCompile(`traffic_\w+`)

// known reports whether the catalogue has a series that an expression may call by this name.
func known(name string) bool {
	return slices.ContainsFunc(catalogue[:], func(d description) bool {
		if d.kind != histogramKind {
			return name == d.name
		}
		return name == d.name+"_bucket" || name == d.name+"_sum" || name == d.name+"_count"
	})
}

// panel is what the test wants of a panel of a dashboard.
type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y int }
	Targets []struct{ Expr string }
}

// TestDashboard holds that each panel shows something, and only series that there are.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		UID, Title string
		Panels     []panel
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	ids, used := map[int]bool{}, map[string]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.W <= 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q: an ID that was used before, no title, or no place", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			names := seriesName.FindAllString(target.Expr, -1)
			for _, name := range names {
				used[name] = true
				if !known(name) {
					t.Errorf("panel %q asks for %s, which is not in the catalogue", p.Title, name)
				}
			}
			if len(names) == 0 && !strings.Contains(target.Expr, "process_") && !strings.Contains(target.Expr, "go_") {
				t.Errorf("panel %q asks for no series: %q", p.Title, target.Expr)
			}
		}
	}
	for _, name := range []string{"traffic_requests_total", "traffic_added_seconds_bucket", "traffic_server_up",
		"traffic_breaker_state", "traffic_upstream_connection_reuses_total", "traffic_loop_stalls_total",
		"traffic_config_loads_total", "traffic_memory_used_bytes"} {
		if !used[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
	if board.UID == "" || board.Title == "" {
		t.Error("the dashboard has no name")
	}
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
	r := New(1, "", Names{Errors: []string{"syntax"}, Handshakes: []string{"closed"}, HTTP2: []string{"x"}})
	r.Route("a", "b")
	r.EntryPoint("e")
	r.Service("b")
	r.SetSource(testSource{})
	r.ServerChanged("app", "http://a", ServerUp)
	r.BreakerChanged("app", "", "guard", BreakerOpen)
	strict.MustRegister(r)
	if _, err := strict.Gather(); err != nil {
		t.Error(err)
	}
}
