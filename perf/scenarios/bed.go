// Package scenarios is what is measured of the proxies: one function for each scenario, all on one bed.
//
// The proxy under test runs alone on core 0, the backend and the load generator share core 1. Rounds of the proxies are
// interleaved, A B C A B C, so that a machine that changes its speed changes it for all.
package scenarios

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/process"
	"traffic_management/perf/report"
)

// Cores: the proxy's own, and the one of everything else.
const (
	proxyCPU = 0
	otherCPU = 1
)

// grace is how long a load may take beyond its own time.
const grace = 30 * time.Second

// Bed is what every scenario works on.
type Bed struct {
	Peers  *peers.Bed
	Rounds int
	Window time.Duration // of one measurement
	Quick  bool
	Absent map[peers.Name]error // proxies that cannot be started, and why
	Say    func(format string, a ...any)
	// backends are addresses, set by withBackends.
	backends []string
}

// Scenario is one of them.
type Scenario struct {
	Name  string
	Title string
	run   func(context.Context, *Bed, *report.Result) error
	// backends is how many there are; 0 is 1.
	backends int
}

// All returns the scenarios in the order they are run and reported.
func All() []Scenario {
	return []Scenario{
		{Name: "h1-128", Title: "128 bytes over 64 keep-alive connections, as fast as each goes", run: small},
		{Name: "h1-128-log", Title: "the same with an access log", run: logged},
		{Name: "h1-128-guarded", Title: "the same with a log and all that keeps a service up, before two servers", run: guarded, backends: 2},
		{Name: "latency", Title: "time added to a request, at a constant rate", run: latency},
		{Name: "body-16k", Title: "16 kB bodies over 64 connections", run: body("/16k", 64)},
		{Name: "body-1m", Title: "1 MB bodies over 16 connections", run: body("/1m", 16)},
		{Name: "memory", Title: "memory without traffic and for each idle client", run: memory},
		{Name: "loops-2", Title: "CPU per request of one loop and of two", run: loops},
		{Name: "https-h1-128", Title: "128 bytes of HTTP/1.1 over TLS 1.3, 64 keep-alive connections", run: https},
		{Name: "h2-128", Title: "128 bytes of HTTP/2 over TLS 1.3, 10 streams on each of 16 connections", run: http2},
		{Name: "handshakes-full", Title: "TLS 1.3 handshakes without a ticket", run: handshakes("full", 0.9)},
		{Name: "handshakes-resumed", Title: "TLS 1.3 handshakes with a ticket", run: handshakes("resumed", 1)},
		{Name: "latency-handshakes", Title: "latency in clear text beside handshakes", run: besideHandshakes},
		{Name: "latency-attacks", Title: "latency in clear text beside attacks over HTTP/2", run: besideAttacks},
		{Name: "stalls", Title: "turns of the event loop, and latency, beside work that takes long", run: stalls, backends: 2},
		{Name: "memory-tls", Title: "memory for each idle client over TLS", run: memoryTLS},
		{Name: "h1-pipeline-128", Title: "128 bytes, requests of many clients on few connections of HTTP/1.1 to the backend", run: pipelined},
		{Name: "h2c-upstream-128", Title: "128 bytes, HTTP/2 to the backend", run: h2cUpstream},
		{Name: "mw-headers", Title: "one field of the request and two of the response set", run: middleware(peers.Headers)},
		{Name: "mw-rate-limit", Title: "a limit for each client that is never reached", run: middleware(peers.RateLimit)},
		{Name: "mw-ip-list", Title: "clients of three ranges of addresses allowed", run: middleware(peers.IPList)},
		{Name: "mw-gzip", Title: "20 kB of JSON, compressed with gzip at level 5", run: compressed},
		{Name: "mw-basic-auth", Title: "names with passwords", run: middleware(peers.BasicAuth)},
		{Name: "mw-forward-auth", Title: "a server asked about every request", run: middleware(peers.ForwardAuth)},
		{Name: "gc", Title: "garbage collections of ours", run: collections},
	}
}

// Run runs one scenario with a backend of its own.
func (s *Scenario) Run(ctx context.Context, b *Bed) (report.Result, error) {
	x := report.Result{Name: s.Name, Title: s.Title,
		Method: fmt.Sprintf("%d rounds of %v each, interleaved", b.Rounds, b.Window)}
	err := b.withBackends(ctx, otherCPU, max(s.backends, 1), func(b *Bed) error { return s.run(ctx, b, &x) })
	if err != nil {
		return x, fmt.Errorf("%s: %w", s.Name, err)
	}
	return x, nil
}

// withBackends runs f on a bed with n backends, all on the given core, or on any.
func (b *Bed) withBackends(ctx context.Context, cpu, n int, f func(*Bed) error) error {
	with := *b
	for i := range n {
		address, err := process.FreeAddress()
		if err != nil {
			return err
		}
		p, err := process.Start(ctx, process.Spec{Path: b.binary("backend"), Args: []string{"-listen", address}, CPU: cpu,
			Log: filepath.Join(b.Peers.Dir, fmt.Sprintf("backend-%d.stderr", i))})
		if err != nil {
			return err
		}
		defer p.Stop()
		if err := p.Ready(ctx, address); err != nil {
			return err
		}
		with.backends = append(with.backends, address)
	}
	return f(&with)
}

func (b *Bed) binary(name string) string { return filepath.Join(b.Peers.Binaries, name) }

// demand is one run of the load generator.
type demand struct {
	address  string
	paths    string // comma-separated
	field    string // of each request, besides the usual ones; empty: none
	conns    int
	rate     float64 // 0 is the closed loop
	window   time.Duration
	requests int64 // instead of window
	cpu      int
	// tls is how the proxy is spoken to: its address with TLS is used.
	tls        bool
	streams    int    // of HTTP/2 on each connection; 0 is HTTP/1.1
	handshakes string // "full" or "resumed": a connection for each request; empty: they are kept
	attack     string // over HTTP/2 in clear text, a connection each; empty: none
	yields     bool   // to everything else on its core
}

// args are the load generator's for it.
func (d *demand) args() []string {
	scheme := "http"
	if d.tls {
		scheme = "https"
	}
	args := []string{"-url", scheme + "://" + d.address + d.paths, "-conns", strconv.Itoa(d.conns),
		"-seconds", fmt.Sprint(d.window.Seconds()), "-rate", fmt.Sprint(d.rate), "-requests", fmt.Sprint(d.requests),
		"-streams", strconv.Itoa(d.streams), "-handshakes", d.handshakes, "-attack", d.attack}
	if d.field != "" {
		args = append(args, "-field", d.field)
	}
	return args
}

// answer is what the load generator reports of its measured window; times in microseconds.
type answer struct {
	Requests  int64   `json:"requests"`
	Seconds   float64 `json:"seconds"`
	Rate      float64 `json:"rate"`
	Bytes     int64   `json:"bytes"`
	Failed    int64   `json:"failed"`
	BadStatus int64   `json:"bad_status"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	P999      float64 `json:"p999_us"`
}

// errLoad is a load generator that did not say what it had to.
var errLoad = errors.New("the load generator gave no figures")

// load runs the load generator. It calls mark at the beginning and at the end of the measured window.
func (b *Bed) load(ctx context.Context, d demand, mark func() error) (a answer, err error) {
	limit := d.window
	if d.requests > 0 {
		// No proxy here is slower than 2000 requests a second.
		limit = time.Duration(d.requests/2000) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit+grace)
	defer cancel()
	r, w := io.Pipe()
	p, err := process.Start(ctx, process.Spec{Path: b.binary("load"), Args: d.args(), CPU: d.cpu, Idle: d.yields, Stdout: w,
		Log: filepath.Join(b.Peers.Dir, "load.stderr")})
	if err != nil {
		return a, err
	}
	defer p.Stop()
	go func() { w.CloseWithError(p.Wait(ctx)) }()
	err = errLoad
	for s := bufio.NewScanner(r); ; {
		if !s.Scan() {
			return a, errors.Join(err, s.Err())
		}
		switch line := s.Text(); line {
		case "begin", "end":
			if err := mark(); err != nil {
				return a, err
			}
		default:
			err = json.Unmarshal([]byte(line), &a)
		}
	}
}

// sample is one round of one proxy.
type sample struct {
	answer
	process.Usage
}

// perRequest is CPU, and what of it was spent in the program and in the kernel, in microseconds per request.
func (s sample) perRequest() (all, user, system float64) {
	u, k := s.Split()
	n := float64(max(s.Requests, 1)) * 1e3
	return float64(s.CPU) / n, float64(u) / n, float64(k) / n
}

// measure runs one load through a proxy and reads its CPU at both ends of the window.
func (b *Bed) measure(ctx context.Context, p *peers.Peer, d demand) (sample, error) {
	d.address = p.Address
	if d.tls {
		d.address = p.Secure
	}
	var at [2]process.Usage
	i := 0
	a, err := b.load(ctx, d, func() (err error) {
		at[i&1], err = p.Usage()
		i++
		return err
	})
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	return sample{a, at[1].Sub(at[0])}, nil
}
