package upstream

import (
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/reactor"
)

// A tunnel that is given back when our side has ended: what is queued for the server reaches it as slowly as it reads,
// and its own end is awaited. The connection stays, and is used on.
func TestH2TunnelReleasedBehindItsEnd(t *testing.T) {
	const much = 300 << 10
	for name, end := range map[string]func(*bed, *caller, *h2request){
		"the server reads, and ends": func(b *bed, x *caller, r *h2request) {
			b.loop.Advance(reactor.WriteOutTime - 2*lookTime)
			r.stream.Hold(false)
			b.loop.Advance(reactor.LingerTime - reactor.Tick)
			if len(r.content) != much || !r.ended || len(r.heard) != 0 {
				b.t.Errorf("the server has %d bytes, end %v, %q", len(r.content), r.ended, r.heard)
			}
			r.stream.Data(nil, true)
			r.release()
		},
		"the server reads, and does not end": func(b *bed, x *caller, r *h2request) {
			r.stream.Hold(false)
			b.loop.Advance(reactor.LingerTime)
			if len(r.content) != much || !r.ended || len(r.heard) != 0 {
				b.t.Errorf("the server has %d bytes, end %v, %q", len(r.content), r.ended, r.heard)
			}
			b.loop.Advance(2*lookTime + 2*reactor.Tick)
			if !r.over {
				b.t.Errorf("the tunnel is open after %v", reactor.LingerTime+2*lookTime)
			}
		},
		"the server does not read": func(b *bed, x *caller, r *h2request) {
			b.loop.Advance(reactor.WriteOutTime)
			if r.over {
				b.t.Errorf("the tunnel is lost, %q", r.heard)
			}
			b.counts(0, 0, 0, 0, 1)
			b.loop.Advance(2*lookTime + 2*reactor.Tick)
			if !r.over {
				b.t.Errorf("the tunnel is open after %v", reactor.WriteOutTime+2*lookTime)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newH2Bed(t, 1, tunnelConfig(), nil)
			x, r := b.h2tunnel()
			r.stream.Hold(true)
			b.loop.Advance(time.Hour)
			x.stream.Data(make([]byte, much), false)
			x.stream.Data(nil, true)
			x.release()
			b.loop.Run()
			end(b, x, r)
			b.h2answered("next")
			b.connections(0)
			b.clean()
		})
	}
}

// A connection that is to close does so when what is queued behind attempts has left.
func TestH2LeavesBehindAReleasedTunnel(t *testing.T) {
	const much = 300 << 10
	for name, leave := range map[string]func(*bed){
		"closed":  func(b *bed) { b.pools.Close() },
		"retired": func(b *bed) { b.service.SetTargets(nil); b.pools.Adopt(b.service) },
		"goaway":  func(b *bed) { b.h2origins[0].session.Shutdown() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newH2Bed(t, 1, tunnelConfig(), nil)
			x, r := b.h2tunnel()
			r.stream.Hold(true)
			x.stream.Data(make([]byte, much), true)
			x.release()
			b.loop.Run()
			leave(b)
			b.connections(1)
			r.stream.Hold(false)
			b.loop.Run()
			if len(r.content) != much || !r.ended {
				t.Errorf("the server has %d bytes, end %v", len(r.content), r.ended)
			}
			r.stream.Data(nil, true)
			r.release()
			b.connections(-1)
			b.clean()
		})
	}
}

// Requests that are answered before they were read, by a server that never reads them: their streams do not add up.
func TestH2AnsweredAndNeverRead(t *testing.T) {
	c := h2Config()
	c.MaxStreams = 100
	b := newH2Bed(t, 1, c, nil)
	b.h2answered("first")
	other := b.open("other") // keeps the connection busy
	for range 20 {
		z := b.openWith("z", streaming(codec.ByChunks, -1))
		r := b.request("z")
		r.stream.Hold(true)
		b.loop.Run()
		z.stream.Data(make([]byte, 100<<10), true)
		b.loop.Run()
		r.stream.Head(&codec.Head{Version: codec.HTTP2, Status: 204, Length: -1, Framing: codec.NoContent}, true)
		z.hears("ready", "head 204 end")
		z.release()
		r.over = true // for bed.request; the server keeps the stream
		b.loop.Advance(10 * time.Second)
		b.request("other").respond(103, false)
	}
	session := other.attempt.h2.conn.session
	if n := session.Streams(); n < 5 || n > 9 { // those of the last minute
		t.Errorf("%d streams are open", n)
	}
	b.request("other").answer("hi")
	b.loop.Run()
	other.release()
	b.loop.Advance(reactor.WriteOutTime + 2*lookTime)
	if n := session.Streams(); n != 0 {
		t.Errorf("%d streams are open", n)
	}
	b.counts(0, 0, 1, 0, 1)
	b.clean()
}

// A server that sends and takes nothing: its connection ends with all that is on it, and heads do not pile up in it.
func TestH2ServerTakesNothing(t *testing.T) {
	c := h2Config()
	c.MaxStreams, c.MaxHeadBytes = 100, 16<<10
	b := newH2Bed(t, 1, c, func(o *Options) { o.RequestTimeout = time.Hour })
	b.h2answered("first")
	o := b.h2origins[0]
	o.conn.Hold(true)
	var callers []*caller
	long := "/" + strings.Repeat("x", 8000)
	for range 99 {
		x := b.openWith("x", func(c *caller) { c.request.Path = []byte(long) })
		x.hears("ready")
		callers = append(callers, x)
	}
	conn := callers[0].attempt.h2.conn
	if n := conn.conn.Queued(); n < maxUntaken || n > maxUntaken+16<<10 {
		t.Errorf("%d bytes wait for a server that takes nothing", n)
	}
	if n := len(b.h2origins); n < 2 {
		t.Errorf("%d connections are open", n)
	}
	for range 16 {
		b.loop.Advance(5 * time.Second)
		o.session.Ping(1) // a sign of life
		b.loop.Run()
	}
	if o.closed != "reset" {
		t.Errorf("the connection: %q", o.closed)
	}
	failed := 0
	for _, x := range callers {
		if x.err != nil {
			if failed++; x.err.Cause != errUntaken.Cause || x.err.Retry != codec.RetryUnanswered || !blames(x.err) {
				t.Errorf("failed with %+v", x.err)
			}
		}
		x.release()
	}
	if failed < 20 || failed > 60 {
		t.Errorf("%d failed", failed)
	}
	b.loop.Run()
	b.clean()
}

// Nor does it help such a server that requests come one by one, each when the time of the one before is over.
func TestH2ServerTakesNothingOfRequestsInTurn(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	b.h2answered("first")
	o := b.h2origins[0]
	o.conn.Hold(true)
	x := b.openWith("big", streaming(codec.ByLength, 1<<20))
	x.hears("ready")
	x.stream.Data(make([]byte, 200<<10), false)
	for range 5 {
		for range 4 {
			b.loop.Advance(5 * time.Second)
			o.session.Ping(1)
		}
		b.loop.Run()
		if o.closed != "" {
			break
		}
		if len(x.heard) == 0 || x.err != errHeadTimeout {
			t.Fatalf("after its time the request has %q", x.heard)
		}
		x.release()
		if x = b.open("x"); len(b.h2origins) != 1 {
			t.Fatalf("%d connections", len(b.h2origins))
		}
		b.loop.Run()
	}
	if o.closed != "reset" || x.err == nil || x.err.Cause != errUntaken.Cause {
		t.Errorf("the connection: %q; the request: %v", o.closed, x.err)
	}
	x.release()
	b.clean()
}

// A server whose every connection turns out to be of no use: an attempt that waited for its settings, or any other, fails
// after few of them.
func TestH2UselessConnections(t *testing.T) {
	none := tunnelConfig()
	none.MaxStreams = 0
	for name, c := range map[string]struct {
		leaves  bool // with GOAWAY in the same read as SETTINGS
		prepare func(*caller)
		most    int // connections
	}{
		"goaway, tunnel":      {true, tunnelling, maxAsked},
		"goaway, request":     {true, func(*caller) {}, 1},
		"no streams, tunnel":  {false, tunnelling, maxAsked},
		"no streams, request": {false, func(*caller) {}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newH2Bed(t, 1, none, nil)
			b.loop.Net.Delay = 5 * time.Millisecond
			accepted := 0
			b.loop.Listen(originAddr(0), func(conn reactor.Conn) reactor.Sink {
				if accepted++; accepted > 50 {
					return nil
				}
				if c.leaves {
					conn.Write([]byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x01" + // SETTINGS: extended CONNECT
						"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")) // GOAWAY 0 NO_ERROR
					return &origin{conn: conn}
				}
				o := &h2origin{bed: b, conn: conn}
				o.session = h2.NewServer(&none, conn, o, time.Duration(b.loop.Now()))
				b.h2origins = append(b.h2origins, o)
				return o
			})
			for range 3 {
				before := accepted
				x := b.openWith("x", c.prepare)
				b.loop.Advance(time.Second)
				if x.err != errNotTaken || x.err.Status != 502 || x.err.Retry != codec.RetrySafe || blames(x.err) {
					t.Errorf("failed with %+v", x.err)
				}
				if n := accepted - before; n > c.most {
					t.Errorf("%d connections for one attempt", n)
				}
				x.release()
			}
			b.counts(0, 0, 0, 0, 0) // nor are any kept
			b.clean()
		})
	}
}
