package upstream

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/reactor"
)

func tunnelConfig() h2.Config {
	c := h2Config()
	c.ExtendedConnect = true
	return c
}

// tunnelling makes the caller offer a WebSocket.
func tunnelling(c *caller) {
	offering(c)
	c.request.Fields[len(c.request.Fields)-1].Value = []byte("websocket")
	c.shape = ShapeUpgrade
}

// h2tunnel opens a tunnel on a new connection: it waits for the server's settings, others do not.
func (b *bed) h2tunnel() (x *caller, r *h2request) {
	b.t.Helper()
	x = b.openWith("x", tunnelling)
	x.hears("ready")
	r = b.request("x")
	if !r.stream.Tunnel() || string(r.head.Get(codec.FieldUpgrade)) != "websocket" {
		b.t.Fatalf("the server received %+v", r.head)
	}
	r.respond(101, false, "Upgrade", "websocket")
	r.stream.Data([]byte("a"), false)
	x.hears("head 101", "data a")
	return x, r
}

// Either direction of a tunnel may end first; the attempt is over when both have, and the connection is used on.
func TestH2Tunnel(t *testing.T) {
	for _, first := range []string{"client", "server"} {
		b := newH2Bed(t, 1, tunnelConfig(), nil)
		x, r := b.h2tunnel()
		x.stream.Data([]byte("b"), false)
		b.loop.Advance(time.Hour) // no time of requests or responses applies
		if first == "client" {
			x.stream.Data([]byte("c"), true)
			b.loop.Run()
			r.stream.Data([]byte("d"), true)
			x.hears("data d end")
		} else {
			r.stream.Data([]byte("d"), true)
			x.hears("data d end")
			x.stream.Data([]byte("c"), true)
		}
		b.counts(0, 0, 1, 0, 1)
		if r.content != "bc" || !r.ended || len(r.heard) > 0 {
			t.Errorf("the server received %q, end %v, %q", r.content, r.ended, r.heard)
		}
		r.release()
		x.release()
		b.h2answered("next")
		b.connections(0)
		b.clean()
	}
}

func TestH2TunnelLost(t *testing.T) {
	b := newH2Bed(t, 1, tunnelConfig(), nil)
	x, r := b.h2tunnel()
	r.release()
	x.hears(failedWith(errTunnelLost))
	x.release()
	y, s := b.openWith("y", tunnelling), (*h2request)(nil)
	y.hears("ready")
	s = b.request("y")
	s.respond(403, false)
	s.stream.Data([]byte("no"), true)
	y.hears("head 403", "data no end")
	y.release()
	b.connections(0)
	b.clean()
}

// A server of HTTP/2 in clear text that lets no tunnel through: the request fails with the reason, others are served.
func TestH2WithoutTunnels(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	for range 2 {
		x, y := b.openWith("x", tunnelling), b.open("y")
		x.hears(failedWith(errNoTunnel))
		if blames(x.err) || x.err.Retry != codec.RetrySafe {
			t.Errorf("failed with %+v", x.err)
		}
		x.release()
		b.request("y").answer("hi")
		y.hears("ready", "head 200", "data hi end")
		y.release()
	}
	b.connections(0)
	b.clean()
}

// Those who wait for settings may be released, run out of time, or lose the connection.
func TestH2TunnelWaitsForSettings(t *testing.T) {
	for name, end := range map[string]func(*bed, *caller){
		"released": func(b *bed, x *caller) { x.release() },
		"timeout": func(b *bed, x *caller) {
			b.loop.Advance(3010 * time.Millisecond)
			x.hears(failedWith(errConnectTimeout))
			x.release()
		},
		"lost": func(b *bed, x *caller) {
			b.origins[0].conn.Abort()
			x.hears(failedWith(errHungUp))
			x.release()
		},
		"retired": func(b *bed, x *caller) {
			b.pools.Close()
			b.loop.Advance(3010 * time.Millisecond)
			x.hears(failedWith(errConnectTimeout))
			x.release()
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newH2Bed(t, 1, h2Config(), nil)
			b.listen(0) // takes the connection and says nothing
			x := b.openWith("x", tunnelling)
			x.hears()
			if x.attempt.state != AttemptOpening {
				t.Fatalf("the attempt is %v", x.attempt.state)
			}
			end(b, x)
			b.clean()
		})
	}
}

// A TLS server that chooses HTTP/2 and lets no tunnel through gets them on connections of HTTP/1.1.
func TestTunnelBesideH2(t *testing.T) {
	b := newBed(t, 1, nil)
	b.targets[0].Protocol = ProtocolTLS
	b.loop.Handshake = func(c *tls.Config) (tls.ConnectionState, error) {
		return tls.ConnectionState{NegotiatedProtocol: c.NextProtos[0]}, nil
	}
	accepted := 0
	c := h2Config()
	b.loop.Listen(originAddr(0), func(conn reactor.Conn) reactor.Sink {
		if accepted++; accepted > 1 {
			o := &origin{conn: conn}
			b.origins = append(b.origins, o)
			return o
		}
		o := &h2origin{bed: b, conn: conn}
		o.session = h2.NewServer(&c, conn, o, time.Duration(b.loop.Now()))
		b.h2origins = append(b.h2origins, o)
		return o
	})
	y := b.open("y")
	x := b.openWith("x", tunnelling)
	y.hears("ready")
	x.hears("ready")
	if s := b.request("y").head.Scheme; string(s) != "https" {
		t.Errorf("the scheme is %q", s)
	}
	if got := b.origins[0].take(); !strings.Contains(got, "Upgrade: websocket\r\n") {
		t.Fatalf("the server received %q", got)
	}
	b.origins[0].conn.Write([]byte(switched + "a"))
	x.hears("head 101", "data a")
	x.release()
	b.request("y").answer("hi")
	y.hears("head 200", "data hi end")
	y.release()
	z := b.openWith("z", tunnelling) // it is known now
	z.hears("ready")
	if accepted != 3 || b.targets[0].speaks() != spokenH2Plain {
		t.Errorf("%d connections, it is taken to speak %v", accepted, b.targets[0].speaks())
	}
	b.origins[1].conn.Write([]byte(ok))
	z.hears("head 200", "data hi end")
	z.release()
	b.clean()
}

// Which version a TLS server chose is learnt: before that requests wait for one connection, then each gets its own
// when it was HTTP/1.1.
func TestLearntVersion(t *testing.T) {
	b := newBed(t, 1, nil)
	b.targets[0].Protocol = ProtocolTLS
	version := alpnH1
	b.loop.Handshake = func(c *tls.Config) (tls.ConnectionState, error) {
		return tls.ConnectionState{NegotiatedProtocol: version}, nil
	}
	var callers []*caller
	for i := range 3 {
		callers = append(callers, b.open(fmt.Sprint(i)))
	}
	if n := b.targets[0].Open(); n != 1 {
		t.Errorf("%d connections are dialled for 3 requests", n)
	}
	b.served(3)
	for range 2 {
		callers = append(callers, b.open("more"))
	}
	if n := b.targets[0].Open(); n != 5 {
		t.Errorf("%d connections are open or dialled for 5 requests", n)
	}
	b.loop.Run()
	for _, o := range b.origins {
		o.conn.Write([]byte(ok))
	}
	for _, c := range callers {
		c.hears("ready", "head 200", "data hi end")
		c.release()
	}
	version = alpnH2 // the server was replaced
	for range 5 {
		b.pools.ShedIdle()
	}
	b.listenH2(0, h2Config(), func(r *h2request) { r.answer("hi") })
	for range 2 {
		x := b.open("x")
		x.hears("ready", "head 200", "data hi end")
		x.release()
	}
	b.connections(0)
	b.clean()
}
