package upstream

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
	"traffic_management/internal/testcert"
)

// h2server is net/http behind HTTP/2, in clear text or over TLS, and the target's protocol, address and options for it.
func h2server(t testing.TB, p Protocol, h http.HandlerFunc) (*httptest.Server, func(*Options)) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = &http.Protocols{}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	if p == ProtocolH2C {
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		return s, func(*Options) {}
	}
	s.Config.Protocols.SetHTTP2(true)
	ca := testcert.New(t)
	s.TLS = ca.Server("good.example")
	s.EnableHTTP2 = true
	s.StartTLS()
	config := ca.Client("good.example")
	return s, func(o *Options) { o.TLS = config }
}

// echo is a handler of requests as a gRPC server sees them: content goes back as it comes, /status is in the trailers.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "Grpc-Status")
	w.WriteHeader(200)
	_ = http.NewResponseController(w).Flush()
	buf := make([]byte, 16<<10)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
		if err != nil {
			break
		}
	}
	w.Header().Set("Grpc-Status", strings.TrimPrefix(r.URL.Path, "/")+r.Header.Get("Te")+r.Trailer.Get("Sum"))
}

func eachH2(t *testing.T, h http.HandlerFunc, test func(*testing.T, *liveBed)) {
	for _, p := range []Protocol{ProtocolH2C, ProtocolTLS} {
		t.Run(p.String(), func(t *testing.T) {
			s, change := h2server(t, p, h)
			test(t, newLiveBed(t, p, addressOf(s.Listener), "good.example", change))
		})
	}
}

// grpc makes a request as gRPC does.
func grpc(x *talk) {
	x.open = true
	x.request.Framing = codec.ByEndStream
	x.request.Options |= codec.OptTE
	x.request.Fields = append(x.request.Fields, codec.NewField(codec.FieldTrailer, []byte("Sum")))
	x.request.Version = codec.HTTP2
}

// Content goes both ways at once, each piece when it comes; trailers end it.
func TestFullDuplex(t *testing.T) {
	eachH2(t, echo, func(t *testing.T, b *liveBed) {
		x := b.begin(codec.MethodPost, "/0", grpc)
		if e := x.hear(); e != "head 200" { // before any content was sent
			t.Fatal(e)
		}
		for i := range 5 {
			b.on(func() { x.stream.Data([]byte(fmt.Sprint("message ", i)), false) })
			if e := x.hear(); e != fmt.Sprint("data message ", i) {
				t.Fatal(e)
			}
		}
		b.on(func() { x.stream.Trailers([]codec.Field{{Name: []byte("Sum"), Value: []byte("42")}}) })
		if got := x.finish(); got != "trailers grpc-status=0trailers42" {
			t.Error(got)
		}
	})
}

// A response of trailers only, as gRPC's errors are, and one that ends while the request goes on.
func TestTrailersOnly(t *testing.T) {
	eachH2(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Grpc-Status", "12") }, func(t *testing.T, b *liveBed) {
		x := b.begin(codec.MethodPost, "/", grpc)
		if got := x.finish(); got != "head 200 end" {
			t.Error(got)
		}
		if got := b.get("/"); got != "head 200 end" || b.meter.opened != 1 {
			t.Errorf("%s; %d connections", got, b.meter.opened)
		}
	})
}

// The server learns that a client gave up, and goes on with other requests.
func TestCancellation(t *testing.T) {
	gone := make(chan error, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			gone <- r.Context().Err()
		}
	}
	eachH2(t, handler, func(t *testing.T, b *liveBed) {
		x := b.begin(codec.MethodGet, "/wait", nil)
		if e := x.hear(); e != "head 200" {
			t.Fatal(e)
		}
		x.release()
		await(t, gone, "the server to learn of it")
		if got := b.get("/"); got != "head 200 end" || b.meter.opened != 1 {
			t.Errorf("%s; %d connections", got, b.meter.opened)
		}
	})
}

// Large content both ways, many requests at once: all of it arrives.
func TestH2Bulk(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	eachH2(t, echo, func(t *testing.T, b *liveBed) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var all sync.WaitGroup
		for range 20 {
			content := strings.Repeat("0123456789abcdef", rnd.IntN(20000))
			all.Go(func() {
				x := b.begin(codec.MethodPost, "/0", func(x *talk) {
					x.content, x.events = content, make(chan string, 10000)
					x.request.Framing, x.request.Length = codec.ByLength, int64(len(content))
				})
				want := "head 200, data " + content + ", trailers grpc-status=0"
				if content == "" {
					want = "head 200, trailers grpc-status=0"
				}
				if got := x.finish(); got != want {
					t.Errorf("%d bytes came of %d: %.80s", len(got), len(want), got)
				}
			})
		}
		all.Wait()
		if b.meter.opened != 1 {
			t.Errorf("%d connections were opened", b.meter.opened)
		}
	})
}

// A server that shuts down says so first: no request is lost.
func TestH2ServerShutsDown(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s, change := h2server(t, ProtocolH2C, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
		_, _ = io.WriteString(w, "hi")
	})
	b := newLiveBed(t, ProtocolH2C, addressOf(s.Listener), "h", change)
	x := b.begin(codec.MethodGet, "/", nil)
	await(t, entered, "the request")
	done := make(chan error, 1)
	go func() { done <- s.Config.Shutdown(t.Context()) }()
	for left := false; !left; { // until GOAWAY is here
		b.on(func() { left = x.attempt.h2.conn.state == h2Leaving })
	}
	close(leave)
	if got := x.finish(); got != "head 200, data hi end" {
		t.Error(got)
	}
	if err := await(t, done, "the shutdown"); err != nil {
		t.Error(err)
	}
	if y := b.begin(codec.MethodGet, "/", nil); !strings.HasPrefix(y.finish(), "failed") || y.err.Retry != codec.RetrySafe {
		t.Errorf("after the shutdown: %v", y.err)
	}
}

// Health checks speak what requests do, and trust whom they trust.
func TestHealthOfH2(t *testing.T) {
	for _, p := range []Protocol{ProtocolH2C, ProtocolTLS} {
		s, change := h2server(t, p, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.Host) })
		target := NewTarget("t", addressOf(s.Listener), "good.example", 1)
		target.Protocol = p
		o := bedOptions()
		change(&o)
		service := NewService("s", &o, nil)
		service.SetTargets([]*Target{target})
		policy := httpPolicy()
		policy.BodyContains = "HTTP/2.0 good.example"
		probe := newProbe(target, policy)
		if why, good := probe.check(t.Context()); !good {
			t.Errorf("%v: %s", p, why)
		}
		if p == ProtocolTLS {
			o.TLS = testcert.New(t).Client("good.example")
			service.SetOptions(&o)
			if why, good := probe.check(t.Context()); good || !strings.Contains(why, "unknown authority") {
				t.Errorf("an authority that is not trusted: %v, %s", good, why)
			}
		}
	}
}

// Customers of several loops share few connections of HTTP/2 to a server that closes them now and then. All are served.
func TestLoopsAndH2(t *testing.T) {
	const loops, perLoop, requests = 3, 8, 200
	for _, limit := range []int{0, 1} {
		var n sync.Mutex
		count := 0
		s, _ := h2server(t, ProtocolH2C, func(w http.ResponseWriter, r *http.Request) {
			n.Lock()
			defer n.Unlock()
			if count++; count%100 == 0 {
				w.Header().Set("Connection", "close") // GOAWAY
			}
			_, _ = io.WriteString(w, "hi")
		})
		o := bedOptions()
		o.MaxConnections, o.QueueTimeout = limit, time.Hour
		service := NewService("s", &o, nil)
		target := NewTarget("0", addressOf(s.Listener), "h", loops)
		target.Protocol = ProtocolH2C
		service.SetTargets([]*Target{target})
		descriptors := reactor.NewDescriptors(1000, 0)
		rooms := newRooms(t, loops, service, descriptors)
		var customers []*customer
		for _, r := range rooms {
			for range perLoop {
				c := &customer{loop: r, left: requests, failed: map[string]int{}}
				c.next = c.open
				customers = append(customers, c)
			}
		}
		if !serveAll(t, rooms, customers) {
			t.Fatalf("a request was never served: in flight %d, idle %d, open %d", target.InFlight(), target.Idle(), target.Open())
		}
		for _, c := range customers {
			for what, n := range c.failed { // GOAWAY may cross a request
				if what != errNotTaken.Cause.Error() {
					t.Errorf("%d requests failed: %s", n, what)
				}
			}
		}
		if target.Open() != 0 || target.Idle() != 0 || target.InFlight() != 0 || descriptors.InUse() != 0 {
			t.Errorf("open %d, idle %d, in flight %d, descriptors %d", target.Open(), target.Idle(), target.InFlight(),
				descriptors.InUse())
		}
	}
}
