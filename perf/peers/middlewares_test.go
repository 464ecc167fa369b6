package peers

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"traffic_management/perf/process"
)

// bench is one middleware of one proxy before a server that answers with JSON.
type bench struct {
	url   string
	from  net.Addr     // of the client; nil is any
	asked atomic.Int64 // requests for another path than /
	last  atomic.Pointer[http.Request]
}

var content = bytes.Repeat([]byte(`{"name":"value"},`), 500)

// get does one request with a field, if there is one, and returns the answer and its content as it came.
func (b *bench) get(t *testing.T, name, value string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if name != "" {
		r.Header.Set(name, value)
	}
	dialer := net.Dialer{LocalAddr: b.from}
	c := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableCompression: true, DisableKeepAlives: true}}
	a, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a, body
}

// effects are what tells that a middleware is at work.
var effects = map[Middleware]func(*testing.T, *bench){
	Headers: func(t *testing.T, b *bench) {
		a, _ := b.get(t, "X-Bench", "another")
		if got := b.last.Load().Header.Values("X-Bench"); len(got) != 1 || got[0] != "one" {
			t.Errorf("the backend saw X-Bench %q", got)
		}
		if a.Header.Get("X-Frame-Options") != "DENY" || a.Header.Get("X-Served-By") != "bench" {
			t.Errorf("response fields %v", a.Header)
		}
	},
	RateLimit: plenty, // nobody here is quick enough to reach it
	IPList: func(t *testing.T, b *bench) {
		plenty(t, b)
		b.from = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}
		if a, _ := b.get(t, "", ""); a.StatusCode != 403 {
			t.Errorf("from outside the ranges: status %d", a.StatusCode)
		}
	},
	Gzip: func(t *testing.T, b *bench) {
		if a, body := b.get(t, "", ""); a.Header.Get("Content-Encoding") != "" || !bytes.Equal(body, content) {
			t.Errorf("not asked for: %v", a.Header)
		}
		a, body := b.get(t, "Accept-Encoding", "gzip")
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil || a.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%v, %v", a.Header, err)
		}
		if whole, err := io.ReadAll(z); err != nil || !bytes.Equal(whole, content) {
			t.Errorf("%d bytes, %v", len(whole), err)
		}
	},
	BasicAuth: func(t *testing.T, b *bench) {
		for value, want := range map[string]int{"": 401, "Basic YmVuY2g6c2VjcmV0": 200, "Basic YmVuY2g6c2VjcmV1": 401} {
			if a, _ := b.get(t, "Authorization", value); a.StatusCode != want {
				t.Errorf("%q: status %d, want %d", value, a.StatusCode, want)
			}
		}
	},
	ForwardAuth: func(t *testing.T, b *bench) {
		before := b.asked.Load()
		plenty(t, b)
		if n := b.asked.Load() - before; n != many {
			t.Errorf("asked %d times for %d requests", n, many)
		}
	},
}

// many is how many requests all have to pass.
const many = 20

func plenty(t *testing.T, b *bench) {
	for range many {
		if a, body := b.get(t, "", ""); a.StatusCode != 200 || !bytes.Equal(body, content) {
			t.Fatalf("status %d, %d bytes", a.StatusCode, len(body))
		}
	}
}

// TestMiddlewares holds that each proxy does with each middleware what the others do.
func TestMiddlewares(t *testing.T) {
	dir := t.TempDir()
	root, err := process.ModuleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Build(t.Context(), root, dir, "./cmd/traffic_management"); err != nil {
		t.Fatal(err)
	}
	bed := &Bed{Binaries: dir, Dir: dir, LogDir: dir}
	for _, name := range []Name{Nginx, HAProxy, Ours} {
		for m, effect := range effects {
			if name == HAProxy && m == ForwardAuth {
				continue
			}
			t.Run(string(name)+" "+string(m), func(t *testing.T) {
				if err := bed.Missing(name); err != nil {
					t.Skip(err)
				}
				b := &bench{}
				server := b.serve(t)
				p, err := bed.Start(t.Context(), name, Options{Backends: []string{server},
					CPU: process.AnyCPU, Log: LogNone, Middleware: m})
				if err != nil {
					t.Fatal(err)
				}
				defer p.Stop()
				b.url = "http://" + p.Address
				effect(t, b)
			})
		}
	}
	t.Run("ours slow", func(t *testing.T) { slow(t, bed) })
}

// serve starts the server for a test and returns its address.
func (b *bench) serve(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			b.asked.Add(1)
			return
		}
		b.last.Store(r)
		w.Header().Set("Content-Type", "application/json")
		w.Write(content)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// slow looks at the middlewares of Options.Keys, and at the histogram that is read beside them.
func slow(t *testing.T, bed *Bed) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(content)
	}))
	t.Cleanup(s.Close)
	server := strings.TrimPrefix(s.URL, "http://")
	p, err := bed.Start(t.Context(), Ours, Options{Backends: []string{server}, CPU: process.AnyCPU, Log: LogNone, Keys: server})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	for _, c := range []struct {
		path, name, value string
		status            int
		coding            string
	}{
		{"/128", "Accept-Encoding", "br", 200, ""},
		{"/json/1m", "Accept-Encoding", "br", 200, "br"},
		{"/bytes/1", "Authorization", "Basic YmVuY2g6c2VjcmV0", 200, ""},
		{"/bytes/1", "Authorization", "Basic YmVuY2g6d3Jvbmc=", 401, ""},
		{"/tokens/0", "", "", 401, ""},
		{"/tokens/39", "", "", 401, ""},
		{"/tokens/40", "", "", 200, ""},
	} {
		x := &bench{url: "http://" + p.Address + c.path}
		a, _ := x.get(t, c.name, c.value)
		if a.StatusCode != c.status || a.Header.Get("Content-Encoding") != c.coding {
			t.Errorf("%s with %s %s: status %d, %v", c.path, c.name, c.value, a.StatusCode, a.Header)
		}
	}
	turns, err := p.Buckets(t.Context(), "traffic_loop_turn_duration_seconds", `loop="0"`)
	if err != nil || turns[len(turns)-1].Count < 7 || !slices.ContainsFunc(turns, func(b Bucket) bool { return b.Bound == 0.001 }) {
		t.Errorf("%v, %v", turns, err)
	}
}
