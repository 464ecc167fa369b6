package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// What is waited for: request_ms and response_idle_ms of servers that are slow, and connect_ms. Those of the others are
// so long that they do not matter on a machine that is.
const (
	failureTime = 700 * time.Millisecond
	connectTime = 300 * time.Millisecond
)

// abreast is how many cells run at the same time: most of them wait for something to time out.
const abreast = 40

// matrix is the configuration of all cells.
type matrix []*cell

func newMatrix() (m matrix) {
	for i := range failures {
		f := &failures[i]
		for k := range kinds {
			for p, want := range [...]ending{plain: f.want[k], repeat: f.again[k]} {
				if want != none {
					m = append(m, &cell{failure: f, kind: k, policy: policy(p), wanted: want,
						host: fmt.Sprintf("f%d-%d-%d.test", i, k, p), underway: make(chan struct{}),
						heard: make(chan struct{}), over: make(chan struct{}), through: make(chan struct{})})
				}
			}
		}
	}
	return m
}

func (m matrix) String() string {
	b := &strings.Builder{}
	b.WriteString("entrypoints: {web: {address: '127.0.0.1:0', http: {tunnel_idle_timeout_seconds: 1}}}\nservices:\n")
	for i, x := range m {
		connect, rest := patience, patience
		switch {
		case x.stage == onDial:
			connect = connectTime
		case x.policy == plain && (x.act == stall || x.act == dribble):
			rest = failureTime
		}
		fmt.Fprintf(b, "  s%d: {servers: [{url: 'http://%s'}, {url: 'http://%s'}], pool: {idle_timeout_seconds: 30}, "+
			"timeouts: {connect_ms: %d, request_ms: %d, response_idle_ms: %d}}\n", i, x.addresses[0], x.addresses[1],
			connect.Milliseconds(), rest.Milliseconds(), rest.Milliseconds())
	}
	b.WriteString("routers:\n")
	for i, x := range m {
		fmt.Fprintf(b, "  r%d: {rule: 'Host(`%s`)', service: s%d, middlewares: [%s]}\n", i, x.host, i,
			[...]string{plain: "", repeat: "again"}[x.policy])
	}
	fmt.Fprintf(b, "middlewares:\n  again: {retry: {attempts: 2, initial_interval_ms: 10, attempt_timeout_ms: %d, on_status: [500]}}\n",
		failureTime.Milliseconds())
	b.WriteString("metrics: {address: '127.0.0.1:0'}\nlog: {format: json}\nshutdown: {drain_timeout_seconds: 1}\n")
	return b.String()
}

// Every kind of exchange meets every failure of a server: its ending is the one of the table, within its time, no byte
// of it is seen in another exchange, and nothing is left behind.
func TestServerFailures(t *testing.T) {
	dead := map[act]string{reset: deadAddress(t, false), stall: deadAddress(t, true)}
	m := newMatrix()
	for _, x := range m {
		x.listen(t, dead)
	}
	var args []string
	if raceDetector { // so that make check has it with the kernel's io_uring and without
		args = []string{"--no-io-uring"}
	}
	p := start(t, m, args...)
	before := p.holdings(t)
	endings, errs := make([]ending, len(m)), make([]error, len(m))
	turns := make(chan struct{}, abreast)
	var all sync.WaitGroup
	for i, x := range m {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			endings[i], errs[i] = x.run(p.web)
		})
	}
	all.Wait()
	for i, x := range m {
		if errs[i] != nil || endings[i]&^x.wanted != 0 || endings[i] == none {
			t.Errorf("%s, %v, policy %d: %v (%v), want %v", x.name, x.kind, x.policy, endings[i], errs[i], x.wanted)
		}
	}
	for _, x := range m { // the connections that the proxy keeps to them end
		for _, s := range x.servers {
			for _, c := range s.connections() {
				c.Close()
			}
		}
	}
	eventually(t, "nothing is left of the exchanges", func() bool {
		after := p.holdings(t)
		return after.descriptors <= before.descriptors && after.goroutines <= before.goroutines
	})
}

// holdings are what a process could lose count of.
type holdings struct{ descriptors, goroutines int }

func (p *proxy) holdings(t *testing.T) holdings {
	t.Helper()
	client := http.Client{Timeout: patience}
	response, err := client.Get("http://" + p.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	h := holdings{descriptors: p.descriptors(t)}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "go_goroutines %d", &h.goroutines); err == nil {
			return h
		}
	}
	t.Fatal("no go_goroutines")
	return h
}
