package mw

import (
	"net/http"
	"net/netip"
	"testing"

	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

var besideAddr = reactor.Addr{TCP: netip.MustParseAddrPort("192.0.2.2:80")}

// besideService is a service of one server, which filters ask; beside has it listen.
func besideService() *upstream.Service { return (*bed)(nil).service("beside", besideAddr) }

// beside is the server of besideService, which answers what the test says.
func (b *bed) beside(answer func(request *http.Request) string) *bed {
	other := &bed{t: b.t, loop: b.loop, calls: b.calls, answer: answer}
	b.loop.Listen(besideAddr, func(c reactor.Conn) reactor.Sink {
		other.servers = append(other.servers, &bedServer{bed: other, conn: c})
		return other.servers[len(other.servers)-1]
	})
	return other
}

// says is what a server answers to anything.
func says(text string) func(*http.Request) string { return func(*http.Request) string { return text } }

// made is a filter that could be made.
func made[F exchange.Filter](t testing.TB) func(f F, err error) F {
	t.Helper()
	return func(f F, err error) F {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}
