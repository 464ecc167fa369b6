// Load is a load generator for HTTP/1.1 over loopback that is light enough to share a core with the backend.
//
//	load -url http://127.0.0.1:8081/128 -conns 64 -seconds 4             closed loop: as fast as the server answers
//	load -url http://127.0.0.1:8081/128 -conns 64 -seconds 4 -rate 20000 open loop: a constant arrival schedule
//	load -url http://127.0.0.1:8081/128 -conns 10000 -hold               one request each, then idle until stdin ends
//
// In the open loop latency is measured from when a request was due, not from when it could be sent, so there is no
// coordinated omission. It prints "begin" and "end" around the measured window and then one line of JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

func main() {
	var f flags
	flag.StringVar(&f.url, "url", "", "http `URL` of a server with a numeric address; the path may be a comma-separated list, used in turn")
	flag.IntVar(&f.conns, "conns", 64, "keep-alive connections")
	flag.Float64Var(&f.rate, "rate", 0, "requests per second of the open loop; 0 is the closed loop")
	flag.Float64Var(&f.seconds, "seconds", 4, "length of the measured window")
	flag.Float64Var(&f.warm, "warm", 0.5, "seconds of load before it")
	flag.Int64Var(&f.count, "requests", 0, "measure this many requests instead of -seconds")
	flag.BoolVar(&f.hold, "hold", false, "hold idle connections")
	flag.Parse()
	if err := f.run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// flags are the command line's.
type flags struct {
	url           string
	conns         int
	rate          float64
	seconds, warm float64
	count         int64
	hold          bool
}

// report is the line of JSON: times in microseconds.
type report struct {
	Requests  int64   `json:"requests"`
	Seconds   float64 `json:"seconds"`
	Rate      float64 `json:"rate"`
	Bytes     int64   `json:"bytes"`
	Failed    int64   `json:"failed"`
	BadStatus int64   `json:"bad_status"`
	P50       float64 `json:"p50_us"`
	P90       float64 `json:"p90_us"`
	P99       float64 `json:"p99_us"`
	P999      float64 `json:"p999_us"`
	Max       float64 `json:"max_us"`
}

func (f *flags) run(in io.Reader, out io.Writer) error {
	server, requests, err := target(f.url)
	if err != nil {
		return err
	}
	if f.conns < 1 {
		return fmt.Errorf("-conns %d: at least one is needed", f.conns)
	}
	if f.hold {
		return hold(server, requests[0], f.conns, in, out)
	}
	// The loop makes no garbage worth a collection, which would only disturb what is measured.
	debug.SetGCPercent(400)
	p := plan{server: server, requests: requests, conns: f.conns, rate: f.rate, count: f.count, drain: 2 * time.Second,
		warm: time.Duration(f.warm * float64(time.Second))}
	if f.count == 0 {
		p.measure = time.Duration(f.seconds * float64(time.Second))
	}
	g, err := newGenerator(p, out)
	if err != nil {
		return err
	}
	if err := g.run(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(g.report())
}

func (g *generator) report() report {
	seconds := float64(g.ended-g.began) / float64(time.Second)
	us := func(q float64) float64 { return float64(g.hist.quantile(q)) / 1e3 }
	return report{
		Requests: g.result.requests, Seconds: seconds, Rate: float64(g.result.requests) / seconds,
		Bytes: g.result.bytes, Failed: g.result.failed, BadStatus: g.result.badStatus,
		P50: us(0.5), P90: us(0.9), P99: us(0.99), P999: us(0.999), Max: float64(g.hist.most) / 1e3,
	}
}

// target makes one request for each path of the URL.
func target(raw string) (netip.AddrPort, [][]byte, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return netip.AddrPort{}, nil, err
	}
	server, err := netip.ParseAddrPort(u.Host)
	if err != nil {
		return server, nil, fmt.Errorf("-url %q: %w", raw, err)
	}
	var requests [][]byte
	for path := range strings.SplitSeq(u.RequestURI(), ",") {
		requests = append(requests, fmt.Appendf(nil,
			"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n\r\n", path, u.Host))
	}
	return server, requests, nil
}
