package frontend_test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/routing"
	"traffic_management/upstream"
)

// descriptor is the blocking socket of a connection, for reading and writing without allocations.
func descriptor(t *testing.T, c net.Conn) int {
	t.Helper()
	f, err := c.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}

// withAll gives a route all that can be configured for it and its service.
func withAll(r *exchange.Route) {
	r.Retry = &exchange.RetryPolicy{Attempts: 2, InitialInterval: time.Second, MaxInterval: time.Second,
		AttemptTimeout: time.Minute, BudgetPercent: 20, MaxBody: 64 << 10}
	r.Retry.OnStatus.Add(503, 503)
	policy := upstream.BreakerPolicy{Name: "b", FailureThreshold: 5, Recovery: time.Minute, FailureRatio: 0.5,
		MinRequests: 20, Window: time.Minute, HalfOpenRequests: 1}
	policy.Failures.Add(500, 599)
	r.Breaker = r.Service.Breaker(policy)
	o := *r.Service.Options()
	o.Strategy, o.Hash = upstream.ConsistentHash, upstream.HashKey{Kind: upstream.HashHeader, Name: "User-Agent"}
	o.Sticky = &upstream.Sticky{Name: "srv", Attributes: "; Path=/", Key: []byte("key")}
	o.Outlier = &upstream.OutlierPolicy{ConsecutiveErrors: 5, BaseEjection: time.Minute, MaxEjectedPercent: 50}
	r.Service.SetOptions(&o)
	r.Chain = exchange.NewChain(constant{}, constant{})
}

// constant is a filter that adds a field to request and response and follows the exchange to its end.
type constant struct{}

var constantField = codec.Field{Name: []byte("X-Constant"), Value: []byte("value")}

func (constant) Request(x *exchange.Exchange) exchange.Verdict {
	x.SetState(&constantField)
	x.RequestHead.Fields = append(x.RequestHead.Fields, constantField)
	return exchange.Next
}

func (constant) Response(x *exchange.Exchange, h *codec.Head, _ bool) exchange.Verdict {
	h.Fields = append(h.Fields, *x.State().(*codec.Field))
	return exchange.Next
}

func (constant) Done(*exchange.Exchange) {}

// newEntry makes an entry point of a loop that leads to the one server at addr.
func newEntry(t testing.TB, loop reactor.Loop, addr reactor.Addr, configure ...func(*exchange.Route)) *frontend.EntryPoint {
	service := upstream.NewService("s", &upstream.Options{PassHost: true, MaxIdle: 8, RequestTimeout: time.Minute,
		ResponseIdle: time.Minute, IdleTimeout: time.Minute, ConnectTimeout: time.Minute,
		HeadLimits: h1.Limits{HeadBytes: 4096, Fields: 30}}, nil)
	service.SetTargets([]*upstream.Target{upstream.NewTarget("t", addr, "h", 1)})
	route := &exchange.Route{Name: "r", Service: service}
	for _, f := range configure {
		f(route)
	}
	rule, err := routing.Parse("PathPrefix(`/`)")
	if err != nil {
		t.Fatal(err)
	}
	pools := upstream.NewPools(loop, upstream.NewGroup(1), 1, func(*upstream.Service) upstream.Meter { return benchMeter{} })
	return &frontend.EntryPoint{
		Local: exchange.NewLocal(loop, pools, nothing{}, 1),
		Conns: frontend.NewConnections(), Meter: nothing{},
		Env: &exchange.Env{Upgrades: []string{"websocket"}, Generation: new(exchange.Generation), Table: routing.NewTable([]routing.Entry[*exchange.Route]{
			{Name: "r", Rule: rule, Value: route}})},
		Settings: &frontend.Settings{HeaderTimeout: 10 * time.Second, BodyIdle: 8 * time.Second, BodyGrace: 5 * time.Second,
			BodyMinRate: 10, IdleTimeout: 20 * time.Second, WriteTimeout: 6 * time.Second, TunnelIdle: time.Hour,
			Limits: h1.Limits{HeadBytes: 4096, Fields: 30}},
	}
}

// proxy runs a real loop in front of the server at addr and returns where it listens.
func proxy(t *testing.T, addr net.Addr, configure ...func(*exchange.Route)) string {
	_, address := proxyOn(t, reactor.Config{}, addr, configure...)
	return address
}

func proxyOn(t *testing.T, c reactor.Config, addr net.Addr, configure ...func(*exchange.Route)) (loop *reactor.EventLoop,
	address string) {
	loop, err := reactor.New(c)
	if err != nil {
		t.Fatal(err)
	}
	entry := newEntry(t, loop, reactor.Addr{TCP: netip.MustParseAddrPort(addr.String())}, configure...)
	listener, err := reactor.Listen("127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	loop.AddListener(listener.Sockets(0)[0], entry.Accept)
	ended := make(chan error, 1)
	go func() { ended <- loop.Run() }()
	t.Cleanup(func() {
		loop.Shutdown()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		listener.Close()
	})
	return loop, listener.Addr().String()
}

// transfer sends message on one socket and reads from the other until what came ends with mark.
func transfer(t *testing.T, from, to int, message, mark, buf []byte) {
	if n, err := unix.Write(from, message); n != len(message) {
		t.Fatal(n, err)
	}
	for got := 0; !bytes.HasSuffix(buf[:got], mark); {
		n, err := unix.Read(to, buf[got:])
		if n <= 0 {
			t.Fatalf("%q, then %v", buf[:got], err)
		}
		got += n
	}
}

// connected is a client of a new proxy that has sent its first request, and the server's end of the connection that the
// request came by.
func connected(t *testing.T, request []byte, configure ...func(*exchange.Route)) (client, server int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialled, err := net.Dial("tcp", proxy(t, listener.Addr(), configure...))
	if err != nil {
		t.Fatal(err)
	}
	client = descriptor(t, dialled)
	if _, err := unix.Write(client, request); err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, descriptor(t, accepted)
}

// A whole request and its response through a running loop, over sockets, allocate nothing once all has been used before.
func TestRequestAllocatesNothing(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	get := "GET /a/../b?x=1 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"
	put := "PUT /a HTTP/1.1\r\nHost: example.org\r\n"
	page := string(bytes.Repeat([]byte("page "), 1000)) + "END"
	for _, c := range []struct{ name, request, requestEnd, response, responseEnd string }{
		{"no content", get, "\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", "\r\n\r\n"},
		{"by length", get, "\r\n\r\n", head + "Content-Length: 5003\r\n\r\n" + page, "END"},
		{"by chunks", get, "\r\n\r\n", head + "Transfer-Encoding: chunked\r\n\r\n138b\r\n" + page + "\r\n0\r\n\r\n", "END\r\n0\r\n\r\n"},
		{"content by length", put + "Content-Length: 5003\r\n\r\n" + page, "END", head + "Content-Length: 0\r\n\r\n", "\r\n\r\n"},
		{"content by chunks", put + "Transfer-Encoding: chunked\r\n\r\n138b\r\n" + page + "\r\n0\r\n\r\n", "0\r\n\r\n",
			head + "Content-Length: 3\r\n\r\nEND", "END"},
	} {
		request, response, buf := []byte(c.request), []byte(c.response), make([]byte, 16<<10)
		requestEnd, responseEnd := []byte(c.requestEnd), []byte(c.responseEnd)
		run := func(t *testing.T, configure ...func(*exchange.Route)) {
			client, server := connected(t, request, configure...)
			transfer(t, client, server, nil, requestEnd, buf)
			transfer(t, server, client, response, responseEnd, buf)
			if n := testing.AllocsPerRun(300, func() {
				transfer(t, client, server, request, requestEnd, buf)
				transfer(t, server, client, response, responseEnd, buf)
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		}
		t.Run(c.name, func(t *testing.T) { run(t) })
		t.Run(c.name+", all configured", func(t *testing.T) { run(t, withAll) })
	}
}

// What passes through a tunnel, either way, allocates nothing, whether it leaves with the turn or at once.
func TestTunnelAllocatesNothing(t *testing.T) {
	request := "GET /a HTTP/1.1\r\nHost: example.org\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	switched := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
	for _, size := range []int{10, 5_000, 50_000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			client, server := connected(t, []byte(request))
			buf, end := make([]byte, 64<<10), []byte("END")
			transfer(t, client, server, nil, []byte("\r\n\r\n"), buf)
			transfer(t, server, client, []byte(switched), []byte("\r\n\r\n"), buf)
			chunk := append(bytes.Repeat([]byte("a"), size), end...)
			if n := testing.AllocsPerRun(300, func() {
				transfer(t, client, server, chunk, end, buf)
				transfer(t, server, client, chunk, end, buf)
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
