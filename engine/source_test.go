package engine_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// scrape is what the metrics say.
func (p *proxy) scrape(t testing.TB) string {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+p.MetricsAddr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
	return string(text)
}

// TestMetricsOfServers has a server that nobody can connect to, until it is ejected and its circuit breaker is open.
func TestMetricsOfServers(t *testing.T) {
	live, dead := named(t, "live"), deadAddress(t)
	p := startText(t, fmt.Sprintf("entrypoints: {web: {address: '127.0.0.1:0'}}\nmetrics: {address: '127.0.0.1:0'}\n"+
		"services: {main: {servers: [{url: 'http://%[1]s', weight: 4}, {url: 'http://%[2]s'}, {url: 'http://%[1]s'}],\n"+
		"  outlier_detection: {consecutive_errors: 1}}}\n"+
		"middlewares: {guard: {circuit_breaker: {failure_threshold: 1}}}\n"+
		"routers: {all: {rule: 'PathPrefix(`/`)', service: main, middlewares: [guard]}}\n", live.address, dead), 1)
	client := p.dial(t)
	for range 6 { // each of the servers in turn, and those that are left again
		client.expect("/", 200, "live")
	}
	text := p.scrape(t)
	for _, c := range []struct{ name, server, labels, value string }{
		{"traffic_server_up", "http://" + live.address, "", "1"},
		{"traffic_server_weight", "http://" + live.address, "", "4"},
		{"traffic_server_weight", "http://" + live.address + " #2", "", "1"},
		{"traffic_server_ejected", "http://" + live.address, "", "0"},
		{"traffic_server_in_flight_requests", "http://" + live.address, "", "0"},
		{"traffic_server_open_connections", "http://" + live.address, "", "1"},
		{"traffic_server_idle_connections", "http://" + live.address, "", "1"},
		{"traffic_server_requests_total", "http://" + dead, `,outcome="failure"`, "1"},
		{"traffic_server_requests_total", "http://" + dead, `,outcome="success"`, "0"},
		{"traffic_server_requests_total", "http://" + live.address, `,outcome="failure"`, "0"},
		{"traffic_server_up", "http://" + dead, "", "1"}, // as far as health checks know, which there are none of
		{"traffic_server_ejected", "http://" + dead, "", "1"},
		{"traffic_server_changes_total", "http://" + dead, `,to="ejected"`, "1"},
		{"traffic_breaker_state", "http://" + dead, "", "2"},
		{"traffic_breaker_state", "http://" + live.address, "", "0"},
		{"traffic_breaker_state", "", "", "0"}, // of the service as a whole
		{"traffic_breaker_changes_total", "http://" + dead, `,to="open"`, "1"},
	} {
		line := fmt.Sprintf(`%s{server="%s",service="main"%s} %s`, c.name, c.server, c.labels, c.value)
		if strings.Contains(c.name, "breaker") {
			line = strings.Replace(line, "{", `{breaker="guard",`, 1)
		}
		if strings.Contains(c.labels, "outcome") {
			line = fmt.Sprintf(`%s{%s,server="%s",service="main"} %s`, c.name, c.labels[1:], c.server, c.value)
		}
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("the metrics do not have %s", line)
		}
	}
	for _, line := range []string{"traffic_config_old_snapshots 0", "traffic_invariants_broken_total 0"} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("the metrics do not have %s", line)
		}
	}
}

// TestMetricsOfHealth has health checks find one of two servers down.
func TestMetricsOfHealth(t *testing.T) {
	live, dead := named(t, "live"), deadAddress(t)
	p := startText(t, fmt.Sprintf("entrypoints: {web: {address: '127.0.0.1:0'}}\nmetrics: {address: '127.0.0.1:0'}\n"+
		"services: {main: {servers: [{url: 'http://%s'}, {url: 'http://%s'}],\n"+
		"  health_check: {type: tcp, interval_seconds: 1, unhealthy_threshold: 1}}}\n", live.address, dead), 1)
	down := fmt.Sprintf("\ntraffic_server_up{server=\"http://%s\",service=\"main\"} 0\n", dead)
	checkLeft(t, "servers to be found down", 0, func() int {
		if strings.Contains(p.scrape(t), down) {
			return 0
		}
		return 1
	})
	text := p.scrape(t) // the change is counted behind the state
	for _, line := range []string{
		fmt.Sprintf(`traffic_server_up{server="http://%s",service="main"} 1`, live.address),
		fmt.Sprintf(`traffic_server_ejected{server="http://%s",service="main"} 0`, dead),
		fmt.Sprintf(`traffic_server_changes_total{server="http://%s",service="main",to="down"} 1`, dead),
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("the metrics do not have %s", line)
		}
	}
}
