// Load is a load generator for HTTP/1.1 and HTTP/2 over loopback that is light enough to share a core with the backend.
//
//	load -url http://127.0.0.1:8081/128 -conns 64 -seconds 4             closed loop: as fast as the server answers
//	load -url http://127.0.0.1:8081/128 -conns 64 -seconds 4 -rate 20000 open loop: a constant arrival schedule
//	load -url http://127.0.0.1:8081/128 -conns 10000 -hold               one request each, then idle until stdin ends
//	load -url https://127.0.0.1:8443/128 -conns 16 -streams 10           HTTP/2 over TLS, ten requests at a time on each
//	load -url https://127.0.0.1:8443/128 -conns 16 -handshakes full      a connection for each request; also: resumed
//	load -url http://127.0.0.1:8081/ -conns 4 -rate 10 -attack ping      a connection for each attack over HTTP/2
//
// In the open loop latency is measured from when a request was due, not from when it could be sent, so there is no
// coordinated omission. It prints "begin" and "end" around the measured window and then one line of JSON. TLS is 1.3 with
// X25519 and AES-128-GCM whatever the server prefers, and no certificate is checked.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
)

func main() {
	var f flags
	flag.StringVar(&f.url, "url", "", "http or https `URL` of a server with a numeric address; the path may be a comma-separated list, used in turn")
	flag.IntVar(&f.conns, "conns", 64, "keep-alive connections")
	flag.Float64Var(&f.rate, "rate", 0, "requests per second of the open loop; 0 is the closed loop")
	flag.Float64Var(&f.seconds, "seconds", 4, "length of the measured window")
	flag.Float64Var(&f.warm, "warm", 0.5, "seconds of load before it")
	flag.Int64Var(&f.count, "requests", 0, "measure this many requests instead of -seconds")
	flag.BoolVar(&f.hold, "hold", false, "hold idle connections")
	flag.IntVar(&f.streams, "streams", 0, "HTTP/2 with so many requests at a time on each connection")
	flag.StringVar((*string)(&f.handshakes), "handshakes", "", "a new connection for each request, its handshake `full` or resumed")
	flag.StringVar((*string)(&f.attack), "attack", "", "over HTTP/2 in clear text, the server closes each connection: reset, made-reset, continuation, bomb or `ping`")
	flag.Func("field", "a further `name: value` of each request; may be given more than once", f.field)
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
	streams       int
	handshakes    resumption
	attack        attack
	fields        []hpack.HeaderField
}

// field adds one to the requests. Its name is in lower case, as HTTP/2 wants it.
func (f *flags) field(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsAny(line, "\r\n") {
		return errors.New("name: value is needed")
	}
	f.fields = append(f.fields, hpack.HeaderField{Name: strings.ToLower(name), Value: strings.TrimSpace(value)})
	return nil
}

// report is the line of JSON: times in microseconds.
type report struct {
	Requests  int64   `json:"requests"`
	Seconds   float64 `json:"seconds"`
	Rate      float64 `json:"rate"`
	Bytes     int64   `json:"bytes"`
	Failed    int64   `json:"failed"`
	BadStatus int64   `json:"bad_status"`
	Late      int64   `json:"late"`
	P50       float64 `json:"p50_us"`
	P90       float64 `json:"p90_us"`
	P99       float64 `json:"p99_us"`
	P999      float64 `json:"p999_us"`
	Max       float64 `json:"max_us"`
}

func (f *flags) run(in io.Reader, out io.Writer) error {
	p, err := f.plan()
	if err != nil {
		return err
	}
	if f.hold {
		return hold(p, in, out)
	}
	// The loop makes no garbage worth a collection, which would only disturb what is measured.
	debug.SetGCPercent(400)
	var r report
	if f.handshakes != "" || f.attack != "" {
		c := &churn{plan: *p, resumption: f.handshakes, attack: f.attack.bytes(p.server.String())}
		seconds, err := c.run(out)
		if err != nil {
			return err
		}
		r = newReport(&c.result, &c.hist, seconds)
	} else {
		g, err := newGenerator(*p, out)
		if err != nil {
			return err
		}
		if err := g.run(); err != nil {
			return err
		}
		r = newReport(&g.result, &g.hist, float64(g.ended-g.began)/float64(time.Second))
	}
	return json.NewEncoder(out).Encode(r)
}

func newReport(o *outcome, h *histogram, seconds float64) report {
	us := func(q float64) float64 { return float64(h.quantile(q)) / 1e3 }
	return report{
		Requests: o.requests, Seconds: seconds, Rate: float64(o.requests) / seconds,
		Bytes: o.bytes, Failed: o.failed, BadStatus: o.badStatus, Late: o.late,
		P50: us(0.5), P90: us(0.9), P99: us(0.99), P999: us(0.999), Max: float64(h.most) / 1e3,
	}
}

// plan checks the flags and makes one request for each path of the URL.
func (f *flags) plan() (*plan, error) {
	u, err := url.Parse(f.url)
	if err != nil {
		return nil, err
	}
	p := &plan{conns: f.conns, streams: f.streams, rate: f.rate, count: f.count, drain: 2 * time.Second,
		warm: time.Duration(f.warm * float64(time.Second))}
	if f.count == 0 {
		p.measure = time.Duration(f.seconds * float64(time.Second))
	}
	if p.server, err = netip.ParseAddrPort(u.Host); err != nil {
		return nil, fmt.Errorf("-url %q: %w", f.url, err)
	}
	if u.Scheme == "https" {
		protocol := "http/1.1"
		if f.streams > 0 {
			protocol = "h2"
		}
		p.tls = clientConfig(protocol)
	}
	for path := range strings.SplitSeq(u.RequestURI(), ",") {
		p.requests = append(p.requests, newRequest(u.Scheme, u.Host, path, f.fields))
	}
	return p, f.check(u.Scheme)
}

// check refuses flags that do not go together.
func (f *flags) check(scheme string) error {
	switch {
	case scheme != "http" && scheme != "https":
		return fmt.Errorf("-url %q: http or https is needed", f.url)
	case f.conns < 1:
		return fmt.Errorf("-conns %d: at least one is needed", f.conns)
	case f.streams < 0:
		return fmt.Errorf("-streams %d: at least none", f.streams)
	case f.attack != "" && attacks[f.attack].blow == nil:
		return fmt.Errorf("-attack %q: there is none of that name", f.attack)
	case f.attack != "" && (scheme != "http" || f.hold || f.handshakes != "" || f.streams > 0):
		return errors.New("-attack is for clear text, and for nothing else besides")
	case f.streams > 0 && (f.hold || f.handshakes != ""):
		return errors.New("-hold and -handshakes are for HTTP/1.1")
	case f.handshakes == "":
		return nil
	case f.handshakes != full && f.handshakes != resumed:
		return fmt.Errorf("-handshakes %q: full or resumed", f.handshakes)
	case scheme != "https" || f.hold || f.count > 0:
		return errors.New("-handshakes wants https, and neither -hold nor -requests")
	}
	return nil
}
