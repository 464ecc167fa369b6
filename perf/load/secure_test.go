package main

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// serveTLS starts another implementation's server with TLS and both versions.
func serveTLS(t *testing.T, f http.HandlerFunc) string {
	s := httptest.NewUnstartedServer(f)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// serveH2C starts one with HTTP/2 in clear text.
func serveH2C(t *testing.T, f http.HandlerFunc) string {
	s := httptest.NewUnstartedServer(f)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func TestVersionsAndTLS(t *testing.T) {
	for _, c := range []struct {
		name    string
		serve   func(*testing.T, http.HandlerFunc) string
		streams int
	}{{"HTTP/1.1 over TLS", serveTLS, 0}, {"HTTP/2 over TLS", serveTLS, 3}, {"HTTP/2", serveH2C, 3}} {
		t.Run(c.name, func(t *testing.T) {
			var served, other, most, now atomic.Int64
			url := c.serve(t, func(w http.ResponseWriter, r *http.Request) {
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				defer now.Add(-1)
				served.Add(1)
				if (r.ProtoMajor == 2) != (c.streams > 0) || r.UserAgent() != "load" {
					other.Add(1)
				}
				if r.URL.Path == "/large" {
					w.Header().Set("Content-Length", "40000")
					w.Write(make([]byte, 40000))
					return
				}
				io.WriteString(w, "content")
			})
			_, r := runFlags(t, flags{url: url + "/small,/large", conns: 2, count: 400, streams: c.streams}, nil)
			if r.Requests < 400 || r.Requests > served.Load() || r.Failed != 0 || r.BadStatus != 0 || other.Load() != 0 {
				t.Errorf("%+v, the server saw %d, %d of them otherwise than meant", r, served.Load(), other.Load())
			}
			if r.Bytes < r.Requests*19000 {
				t.Errorf("%d bytes of %d requests", r.Bytes, r.Requests)
			}
			if lanes := int64(2 * max(c.streams, 1)); most.Load() > lanes {
				t.Errorf("%d requests at the same time, want at most %d", most.Load(), lanes)
			}
		})
	}
}

// TestStreamsThatFail counts resets, other statuses and connections that the server ends.
func TestStreamsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		handle      http.HandlerFunc
		failed, bad bool
	}{
		"reset":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true, false},
		"status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, false, true},
	} {
		var n atomic.Int64
		url := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%10 == 0 {
				c.handle(w, r)
			}
		})
		_, r := runFlags(t, flags{url: url, conns: 1, count: 90, streams: 2}, nil)
		if (r.Failed >= 8 && r.Failed <= 12) != c.failed || (r.BadStatus >= 8 && r.BadStatus <= 12) != c.bad {
			t.Errorf("%s: %+v, want about 10 of 100", name, r)
		}
	}
}

func TestHandshakes(t *testing.T) {
	for _, kind := range []resumption{full, resumed} {
		var served, again atomic.Int64
		url := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
			served.Add(1)
			if r.TLS.DidResume {
				again.Add(1)
			}
		})
		const conns = 3
		_, r := runFlags(t, flags{url: url, conns: conns, seconds: 0.2, handshakes: kind}, nil)
		if r.Failed != 0 || r.Requests < conns || r.Requests > served.Load() {
			t.Errorf("%s: %+v, the server saw %d", kind, r, served.Load())
		}
		if want := map[resumption]int64{full: 0, resumed: served.Load() - conns}[kind]; again.Load() != want {
			t.Errorf("%s: %d of %d were resumed, want %d", kind, again.Load(), served.Load(), want)
		}
		_, r = runFlags(t, flags{url: url, conns: conns, seconds: 0.5, rate: 40, handshakes: kind}, nil)
		// On a busy machine the window ends late: one more for each connection may.
		if r.Failed != 0 || r.Requests < 10 || r.Requests > 21+conns {
			t.Errorf("%s: %+v, want about 20", kind, r)
		}
	}
}

// TestLate counts connections that are never begun apart from those that failed.
func TestLate(t *testing.T) {
	c := &churn{plan: plan{rate: 1000, measure: 20 * time.Millisecond}, done: make(chan struct{}), dues: make(chan time.Time, 3)}
	c.schedule(io.Discard) // nobody takes them
	if c.result.late < 10 || c.result.failed != 0 {
		t.Errorf("%+v, want about 17 late", c.result)
	}
}

// TestOtherTerms refuses servers that would have been compared with something else.
func TestOtherTerms(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	f := flags{url: s.URL, conns: 1, count: 1, streams: 1}
	if err := f.run(nil, io.Discard); err == nil {
		t.Error("a session without HTTP/2 is taken")
	}
	p, err := (&flags{url: s.URL, conns: 1, handshakes: resumed, seconds: 1}).plan()
	if err != nil {
		t.Fatal(err)
	}
	c := &churn{plan: *p, resumption: resumed}
	if err := c.connect(c.tls, make([]byte, 1<<16), true); !errors.Is(err, errResumption) {
		t.Errorf("a full handshake instead of a resumed one: %v", err)
	}
}
