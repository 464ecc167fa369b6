package frontend_test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

// newEntry makes an entry point of a loop that leads to the one server at addr.
func newEntry(t *testing.T, loop reactor.Loop, addr reactor.Addr) *frontend.EntryPoint {
	service := upstream.NewService("s", upstream.Options{PassHost: true, MaxIdle: 8, RequestTimeout: time.Minute,
		ResponseIdle: time.Minute, IdleTimeout: time.Minute, ConnectTimeout: time.Minute,
		HeadLimits: h1.Limits{HeadBytes: 4096, Fields: 30}})
	service.SetTargets([]*upstream.Target{upstream.NewTarget("t", addr, "h", 1, 1)})
	rule, err := routing.Parse("PathPrefix(`/`)")
	if err != nil {
		t.Fatal(err)
	}
	pools := upstream.NewPools(loop, upstream.NewGroup(1), 1, func(*upstream.Service) upstream.Meter { return benchMeter{} })
	return &frontend.EntryPoint{
		Local: exchange.NewLocal(loop, pools, nothing{}, 1),
		Conns: frontend.NewConnections(), Meter: nothing{},
		Env: &exchange.Env{Table: routing.NewTable([]routing.Entry[*exchange.Route]{
			{Name: "r", Rule: rule, Value: &exchange.Route{Name: "r", Service: service}}})},
		Settings: &frontend.Settings{HeaderTimeout: 10 * time.Second, BodyIdle: 8 * time.Second, BodyGrace: 5 * time.Second,
			BodyMinRate: 10, IdleTimeout: 20 * time.Second, WriteTimeout: 6 * time.Second,
			Limits: h1.Limits{HeadBytes: 4096, Fields: 30}},
	}
}

// proxy runs a real loop in front of the server at addr and returns where it listens.
func proxy(t *testing.T, addr net.Addr) string {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		t.Fatal(err)
	}
	entry := newEntry(t, loop, reactor.Addr{TCP: netip.MustParseAddrPort(addr.String())})
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
	return listener.Addr().String()
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
		t.Run(c.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			dialled, err := net.Dial("tcp", proxy(t, listener.Addr()))
			if err != nil {
				t.Fatal(err)
			}
			client := descriptor(t, dialled)
			request, response, buf := []byte(c.request), []byte(c.response), make([]byte, 16<<10)
			if _, err := unix.Write(client, request); err != nil {
				t.Fatal(err)
			}
			accepted, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			server := descriptor(t, accepted)
			transfer(t, client, server, nil, []byte(c.requestEnd), buf)
			transfer(t, server, client, response, []byte(c.responseEnd), buf)
			requestEnd, responseEnd := []byte(c.requestEnd), []byte(c.responseEnd)
			if n := testing.AllocsPerRun(300, func() {
				transfer(t, client, server, request, requestEnd, buf)
				transfer(t, server, client, response, responseEnd, buf)
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
