package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// run carries flags out and returns the words before the report, and the report.
func runFlags(t *testing.T, f flags, in io.Reader) (string, report) {
	t.Helper()
	var out strings.Builder
	if err := f.run(in, &out); err != nil {
		t.Fatal(err)
	}
	words, line, _ := strings.Cut(out.String(), "{")
	var r report
	if err := json.Unmarshal([]byte("{"+line), &r); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	return words, r
}

func serve(t *testing.T, f http.HandlerFunc) string {
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func TestClosedLoopCounts(t *testing.T) {
	var served atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		io.WriteString(w, "content")
	})
	words, r := runFlags(t, flags{url: url + "/a,/b", conns: 4, count: 500}, nil)
	if words != "begin\nend\n" {
		t.Errorf("said %q", words)
	}
	if r.Requests < 500 || r.Requests > served.Load() || r.Failed != 0 || r.BadStatus != 0 {
		t.Errorf("%+v, the server saw %d", r, served.Load())
	}
	if r.P50 <= 0 || r.P50 > r.P99 || r.P99 > r.Max || r.Bytes < r.Requests*int64(len("content")) {
		t.Errorf("figures out of order: %+v", r)
	}
}

func TestPathsAreUsedInTurn(t *testing.T) {
	var a, b atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" {
			a.Add(1)
		} else {
			b.Add(1)
			w.WriteHeader(http.StatusTeapot)
		}
	})
	_, r := runFlags(t, flags{url: url + "/a,/b", conns: 1, count: 100}, nil)
	if d := a.Load() - b.Load(); d < -1 || d > 1 {
		t.Errorf("%d and %d requests", a.Load(), b.Load())
	}
	if r.BadStatus < 49 || r.BadStatus > 51 {
		t.Errorf("%d of 100 with another status, want half", r.BadStatus)
	}
}

// TestOpenLoopChargesStalls lets the server stall once: every request that was due meanwhile must be late, not only the
// one that was stalled.
func TestOpenLoopChargesStalls(t *testing.T) {
	const stall, rate = 300 * time.Millisecond, 1000
	var once sync.Once
	begun := time.Now()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if time.Since(begun) > stall {
			once.Do(func() { time.Sleep(stall) })
		}
	})
	_, r := runFlags(t, flags{url: url, conns: 1, rate: rate, seconds: 1}, nil)
	// 300 of about 1000 requests were due in the stall, so the median of them waited 150 ms; 90 in 100 of all is among them.
	if r.P90 < 100e3 || r.Max < 290e3 {
		t.Errorf("a stall of %v shows as p90 %.0f us, longest %.0f us", stall, r.P90, r.Max)
	}
	if r.Failed != 0 || r.Requests < rate/2 {
		t.Errorf("%+v", r)
	}
}

// TestLostConnectionsAreCounted lets the server close under every tenth request.
func TestLostConnectionsAreCounted(t *testing.T) {
	var n atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%10 == 0 {
			panic(http.ErrAbortHandler)
		}
	})
	_, r := runFlags(t, flags{url: url, conns: 2, count: 90}, nil)
	if r.Failed < 8 || r.Failed > 12 {
		t.Errorf("%d failed of about 100, want about 10", r.Failed)
	}
}

func TestHold(t *testing.T) {
	for _, start := range []func(*httptest.Server){(*httptest.Server).Start, (*httptest.Server).StartTLS} {
		var open atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { open.Add(1) }))
		start(s)
		t.Run(s.URL[:5], func(t *testing.T) { holdAndClose(t, s, &open) })
	}
}

// holdAndClose lets a server close what is held.
func holdAndClose(t *testing.T, s *httptest.Server, open *atomic.Int64) {
	defer s.Close()
	in, release := io.Pipe()
	out, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		f := flags{url: s.URL, conns: 20, hold: true}
		done <- f.run(in, w)
		w.Close()
	}()
	var line [64]byte
	n, err := out.Read(line[:])
	if err != nil || string(line[:n]) != "held 20\n" || open.Load() != 20 {
		t.Fatalf("said %q (%v) after %d requests", line[:n], err, open.Load())
	}
	s.CloseClientConnections()
	release.Close()
	n, err = out.Read(line[:])
	if err != nil || string(line[:n]) != "closed 20\n" {
		t.Errorf("said %q (%v) when the server had closed all", line[:n], err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRefusesBadFlags(t *testing.T) {
	for _, f := range []flags{{url: "http://localhost:1/", conns: 1}, {url: "http://127.0.0.1:1/", conns: 0}, {url: "%", conns: 1},
		{url: "ftp://127.0.0.1:1/", conns: 1}, {url: "http://127.0.0.1:1/", conns: 1, handshakes: full},
		{url: "https://127.0.0.1:1/", conns: 1, handshakes: "half"}, {url: "https://127.0.0.1:1/", conns: 1, handshakes: full, streams: 2}} {
		if err := f.run(nil, io.Discard); err == nil {
			t.Errorf("%+v is taken", f)
		}
	}
}

// TestFieldsAndChunks holds that further fields reach the server in both versions, and that content in chunks is read to
// its end.
func TestFieldsAndChunks(t *testing.T) {
	var bad atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" || r.Header.Get("X-Other") != "a: b" {
			bad.Add(1)
		}
		for range 3 {
			io.WriteString(w, "content")
			w.(http.Flusher).Flush()
		}
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	for _, streams := range []int{0, 2} {
		f := flags{url: s.URL + "/", conns: 2, count: 100, streams: streams}
		for _, line := range []string{"Accept-Encoding: gzip", "X-Other: a: b"} {
			if err := f.field(line); err != nil {
				t.Fatal(err)
			}
		}
		_, r := runFlags(t, f, nil)
		if r.Requests < 100 || r.Failed+r.BadStatus+bad.Load() != 0 || r.Bytes < r.Requests*int64(len("content"))*3 {
			t.Errorf("%d streams: %+v, %d without the fields", streams, r, bad.Load())
		}
	}
	for _, line := range []string{"", "name", ": value", "a: b\r\nc: d"} {
		if new(flags).field(line) == nil {
			t.Errorf("field %q is taken", line)
		}
	}
}
