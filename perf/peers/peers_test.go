package peers

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"traffic_management/perf/process"
)

// backend remembers the fields of the last request.
func backend(t *testing.T) (string, <-chan http.Header) {
	t.Helper()
	seen := make(chan http.Header, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := r.Header.Clone()
		h.Set("Host", r.Host)
		if r.URL.Path == "/" { // no check of the server
			seen <- h
		}
		io.WriteString(w, "content")
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), seen
}

// TestPeers starts the peers that are installed, with and without a log, and looks at what reaches the backend: both
// must do the same work.
func TestPeers(t *testing.T) {
	dir := t.TempDir()
	b := &Bed{Binaries: dir, Dir: dir, LogDir: dir}
	for _, c := range []struct {
		name    Name
		log     Log
		guarded bool
	}{{Nginx, LogNone, false}, {Nginx, LogOn, false}, {Nginx, LogBuffered, true}, {HAProxy, LogNone, false}, {HAProxy, LogOn, true}} {
		t.Run(string(c.name)+" "+string(c.log), func(t *testing.T) {
			if err := b.Missing(c.name); err != nil {
				t.Skip(err)
			}
			address, seen := backend(t)
			p, err := b.Start(t.Context(), c.name, Options{Backends: []string{address}, CPU: process.AnyCPU, Log: c.log, Guarded: c.guarded})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Stop()
			twice(t, p.Address)
			for range 2 {
				h := <-seen
				if h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Forwarded-Proto") != "http" ||
					h.Get("X-Forwarded-Host") != "example.org" || h.Get("Host") != "example.org" || h.Get("Connection") != "" {
					t.Errorf("the backend saw %v", h)
				}
			}
			p.Process.Stop() // so that a buffered log is written
			if lines := p.LogSize() > 0; lines != (c.log != LogNone) {
				t.Errorf("log of %d bytes", p.LogSize())
			}
			p.Stop()
			if _, err := os.Stat(p.logFile); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the log is left: %v", err)
			}
		})
	}
}

// TestSecure looks at the peers that are installed over TLS: both versions, the cipher that all are compared with, and what
// the backend is told.
func TestSecure(t *testing.T) {
	dir := t.TempDir()
	b := &Bed{Binaries: dir, Dir: dir, LogDir: dir}
	for _, name := range []Name{Nginx, HAProxy} {
		t.Run(string(name), func(t *testing.T) {
			if err := b.Missing(name); err != nil {
				t.Skip(err)
			}
			address, seen := backend(t)
			p, err := b.Start(t.Context(), name, Options{Backends: []string{address}, CPU: process.AnyCPU, Log: LogNone, TLS: true})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Stop()
			for _, major := range []int{1, 2} {
				c := http.Client{Transport: &http.Transport{ForceAttemptHTTP2: major == 2, DisableKeepAlives: true,
					TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}}}
				a, err := c.Get("https://" + p.Secure)
				if err != nil {
					t.Fatal(err)
				}
				a.Body.Close()
				if a.ProtoMajor != major || a.TLS.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
					t.Errorf("HTTP/%d: %s over %s", major, a.Proto, tls.CipherSuiteName(a.TLS.CipherSuite))
				}
				if h := <-seen; h.Get("X-Forwarded-Proto") != "https" {
					t.Errorf("HTTP/%d: the backend saw %v", major, h)
				}
			}
		})
	}
}

// twice does two requests on one connection.
func twice(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for range 2 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
		a, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(a.Body); err != nil || string(body) != "content" || a.StatusCode != 200 {
			t.Fatalf("status %d, %q, %v", a.StatusCode, body, err)
		}
	}
}

// TestOurs looks at the configuration of ours as YAML.
func TestOurs(t *testing.T) {
	dir := t.TempDir()
	b := &Bed{Binaries: dir, Dir: dir, LogDir: dir}
	for _, log := range []Log{LogNone, LogOn} {
		guarded := log == LogOn
		s, err := b.settings(Ours, Options{Backends: []string{"127.0.0.1:1", "127.0.0.1:2"}, Log: log, Loops: 2, Guarded: guarded,
			TLS: guarded, H2C: guarded, Pipeline: !guarded})
		if err != nil {
			t.Fatal(err)
		}
		path, args, err := b.command(Ours, s)
		if err != nil || path != filepath.Join(dir, "traffic_management") || strings.Join(args[2:], " ") != "--loops 2" {
			t.Fatalf("%s %v, %v", path, args, err)
		}
		text, err := os.ReadFile(args[1])
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Entrypoints map[string]struct {
				Address string
			}
			Services map[string]struct {
				Servers []struct{ URL string }
				Pool    struct{ Multiplex string }
			}
			Routers     map[string]struct{ Middlewares []string }
			Middlewares map[string]any
			Metrics     struct{ Address string }
			AccessLog   struct{ File string } `yaml:"access_log"`
		}
		if err := yaml.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		server, multiplex := "http://127.0.0.1:1", "pipeline"
		if guarded {
			server, multiplex = "h2c://127.0.0.1:1", ""
		}
		if c.Entrypoints["secure"].Address != s.Secure || (s.Secure != "") != guarded || c.Services["backend"].Pool.Multiplex != multiplex {
			t.Errorf("log %s: %s", log, text)
		}
		if c.Entrypoints["web"].Address != s.Address || c.Services["backend"].Servers[0].URL != server ||
			len(c.Services["backend"].Servers) != 2 || len(c.Middlewares) != len(c.Routers["all"].Middlewares) ||
			(len(c.Middlewares) > 0) != guarded || c.Metrics.Address != s.Metrics || (c.AccessLog.File != "") != (log == LogOn) {
			t.Errorf("log %s: %s", log, text)
		}
	}
}

func TestBuckets(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a_bucket{loop=\"1\",le=\"1\"} 9\na_bucket{loop=\"0\",le=\"0.5\"} 1\n"+
			"a_bucket{loop=\"0\",le=\"+Inf\"} 1e+06\na_sum{loop=\"0\"} 3\n")
	}))
	defer s.Close()
	p := &Peer{Metrics: strings.TrimPrefix(s.URL, "http://")}
	got, err := p.Buckets(t.Context(), "a", `loop="0"`)
	if want := []Bucket{{0.5, 1}, {math.Inf(1), 1e6}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := p.Buckets(t.Context(), "a", `loop="2"`); err == nil {
		t.Errorf("of another loop: %v", got)
	}
}

func TestMetric(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "# HELP a\na_count 7\na{q=\"1\"} 0.5\nab 1\n")
	}))
	defer s.Close()
	p := &Peer{Metrics: strings.TrimPrefix(s.URL, "http://")}
	for name, want := range map[string]float64{"a_count": 7, `a{q="1"}`: 0.5, "ab": 1} {
		if got, err := p.Metric(t.Context(), name); err != nil || got != want {
			t.Errorf("%s is %v, %v", name, got, err)
		}
	}
	if _, err := p.Metric(t.Context(), "a"); err == nil {
		t.Error("the beginning of a name is taken for it")
	}
}

func TestUnknownPeer(t *testing.T) {
	b := &Bed{Dir: t.TempDir()}
	if _, err := b.Start(t.Context(), "other", Options{}); err == nil {
		t.Error("started")
	}
	if b.Missing(Relay) == nil {
		t.Error("a relay that was not built is not missing")
	}
}
