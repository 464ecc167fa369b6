package frontend_test

import (
	"crypto/tls"
	"net/netip"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/routing"
	"traffic_management/upstream"
)

// benchLoop is a loop without a kernel: what it costs is what our own code costs.
type benchLoop struct {
	wheel    reactor.Wheel
	now      reactor.Instant
	deferred []func()
	dialled  *benchConn
	dials    int
}

func (l *benchLoop) Index() int                            { return 0 }
func (l *benchLoop) Now() reactor.Instant                  { return l.now }
func (l *benchLoop) Clock() reactor.Instant                { return l.now }
func (l *benchLoop) Arm(t *reactor.Timer, d time.Duration) { l.wheel.Arm(t, l.now.Add(d)) }
func (l *benchLoop) Stop(t *reactor.Timer)                 { l.wheel.Stop(t) }
func (l *benchLoop) Attach(int, reactor.Sink) reactor.Conn { panic("not here") }
func (l *benchLoop) DialTLS(reactor.Addr, *tls.Config, reactor.Sink) reactor.Conn {
	panic("not here")
}
func (l *benchLoop) AcceptTLS(reactor.Conn, *tls.Config, func(reactor.Conn, error) reactor.Sink) reactor.Sink {
	panic("not here")
}
func (l *benchLoop) Defer(f func())   { l.deferred = append(l.deferred, f) }
func (l *benchLoop) Post(func()) bool { return false }

// Dial returns the one connection to the server.
func (l *benchLoop) Dial(_ reactor.Addr, s reactor.Sink) reactor.Conn {
	l.dialled.sink = s
	l.dials++
	return l.dialled
}

func (l *benchLoop) settle() {
	for i := 0; i < len(l.deferred); i++ {
		l.deferred[i]()
	}
	l.deferred = l.deferred[:0]
}

// benchConn receives what it is fed and forgets what it is given.
type benchConn struct {
	in   []byte
	out  []byte
	sink reactor.Sink
}

func (c *benchConn) In() []byte                { return c.in }
func (c *benchConn) Consume(n int)             { c.in = c.in[n:] }
func (c *benchConn) Write(p []byte)            { c.out = append(c.out, p...) }
func (c *benchConn) Queued() int               { return 0 }
func (c *benchConn) EOF() bool                 { return false }
func (c *benchConn) Hold(bool)                 {}
func (c *benchConn) Portion(func() int)        {}
func (c *benchConn) Wake()                     {}
func (c *benchConn) CloseWrite()               {}
func (c *benchConn) Close(bool)                {}
func (c *benchConn) Abort()                    {}
func (c *benchConn) Unsent() int               { return 0 }
func (c *benchConn) Detach() (int, bool)       { return -1, false }
func (c *benchConn) Peer() netip.AddrPort      { return netip.MustParseAddrPort("127.0.0.1:4000") }
func (c *benchConn) Local() netip.AddrPort     { return netip.MustParseAddrPort("127.0.0.1:8080") }
func (c *benchConn) SetSink(s reactor.Sink)    { c.sink = s }
func (c *benchConn) TLS() *tls.ConnectionState { return nil }
func (c *benchConn) Writev(bufs [][]byte) {
	for _, b := range bufs {
		c.out = append(c.out, b...)
	}
}

type nothing struct{}

type benchMeter struct{ nothing }

func (benchMeter) Opened()           {}
func (benchMeter) Reused()           {}
func (benchMeter) Replayed()         {}
func (benchMeter) Failed(codec.Kind) {}

func (nothing) Done(*exchange.Exchange) {}
func (nothing) Accepted()               {}
func (nothing) Closed()                 {}
func (nothing) TunnelOpened()           {}
func (nothing) TunnelClosed()           {}
func (nothing) Handshake(bool)          {}
func (nothing) HandshakeFailed(string)  {}
func (nothing) HTTP2Opened()            {}
func (nothing) HTTP2Closed()            {}
func (nothing) HTTP2Error(string)       {}

// newBench is an entry point of a benchLoop that leads to one server; o has what it is to have of unusual options.
func newBench(tb testing.TB, o upstream.Options) (*benchLoop, *frontend.EntryPoint) {
	l := &benchLoop{dialled: &benchConn{}}
	o.PassHost, o.MaxIdle, o.HeadLimits = true, 8, h1.Limits{HeadBytes: 65536, Fields: 100}
	o.RequestTimeout, o.ResponseIdle, o.IdleTimeout, o.ConnectTimeout = time.Minute, time.Minute, time.Minute, time.Minute
	service := upstream.NewService("s", &o, nil)
	service.SetTargets([]*upstream.Target{upstream.NewTarget("t", reactor.Addr{}, "h", 1)})
	rule, err := routing.Parse("PathPrefix(`/`)")
	if err != nil {
		tb.Fatal(err)
	}
	pools := upstream.NewPools(l, upstream.NewGroup(1), 1, func(*upstream.Service) upstream.Meter { return benchMeter{} })
	entry := &frontend.EntryPoint{
		Local: exchange.NewLocal(l, pools, nothing{}, 1),
		Conns: frontend.NewConnections(), Meter: nothing{},
		Env: &exchange.Env{Generation: new(exchange.Generation), Table: routing.NewTable([]routing.Entry[*exchange.Route]{
			{Name: "r", Rule: rule, Value: &exchange.Route{Name: "r", Service: service}}})},
		Settings: &frontend.Settings{HeaderTimeout: time.Minute, IdleTimeout: time.Minute, WriteTimeout: time.Minute,
			Limits: h1.Limits{HeadBytes: 16384, Fields: 100}},
	}
	return l, entry
}

// BenchmarkRequest is one keep-alive request through frontend, exchange, routing, pool and back, without sockets.
func BenchmarkRequest(b *testing.B) {
	requests := map[string]string{
		"wrk": "GET /128 HTTP/1.1\r\nHost: 127.0.0.1:7001\r\n\r\n",
		"browser": "GET /static/app.js?v=12 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n" +
			"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36\r\n" +
			"Accept: */*\r\nReferer: https://www.example.com/\r\nAccept-Encoding: gzip, deflate, br\r\n" +
			"Accept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef\r\nDNT: 1\r\n\r\n",
	}
	response := []byte("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n" +
		string(make([]byte, 128)))
	for name, request := range requests {
		b.Run(name, func(b *testing.B) {
			l, entry := newBench(b, upstream.Options{})
			client := &benchConn{}
			sink := entry.Accept(client)
			open, raw := false, []byte(request)
			b.ReportAllocs()
			for b.Loop() {
				l.now += 1000
				client.in = raw
				l.dialled.in = nil
				sink.OnData()
				l.settle()
				if !open {
					open = true
					l.dialled.sink.OnDrained()
					l.settle()
				}
				l.dialled.in = response
				l.dialled.sink.OnData()
				l.settle()
				if len(client.out) < 128 || len(l.dialled.out) < len(request) {
					b.Fatalf("client got %q, server got %q", client.out, l.dialled.out)
				}
				client.out, l.dialled.out = client.out[:0], l.dialled.out[:0]
			}
		})
	}
}
