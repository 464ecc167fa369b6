package upstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
)

func failedWith(e *codec.Error) string { return "failed: " + e.Cause.Error() }

// Requests share one connection from the first on, and it is used again until it was idle for too long.
func TestH2Sharing(t *testing.T) {
	for seed := range uint64(20) {
		b := newH2Bed(t, 1, h2Config(), nil)
		b.loop.Net.Delay = time.Duration(seed%3) * time.Millisecond
		x, y, z := b.open("x"), b.open("y"), b.openWith("z", streaming(codec.ByChunks, -1))
		b.counts(0, 3, 0, 0, 1)
		for _, c := range []*caller{x, y, z} {
			c.hears("ready")
		}
		b.connections(3)
		z.stream.Data([]byte("abc"), false)
		z.stream.Trailers([]codec.Field{{Name: []byte("X"), Value: []byte("y")}})
		r := b.request("y")
		if h := &r.head; string(h.Scheme) != "http" || string(h.Authority) != "h" || h.Method != codec.MethodGet || !r.ended {
			t.Fatalf("the server received %+v", h)
		}
		r.answer("of y")
		y.hears("head 200", "data of y end")
		if r := b.request("z"); r.content != "abc" || !r.ended || strings.Join(r.heard, " ") != "x=y" {
			t.Fatalf("the server received %q, end %v, %q", r.content, r.ended, r.heard)
		}
		b.request("z").respond(200, false)
		b.request("z").stream.Data([]byte("of z"), false)
		b.request("z").stream.Trailers([]codec.Field{{Name: []byte("a"), Value: []byte("b")}})
		z.hears("head 200", "data of z", "trailers a=b")
		b.request("z").release()
		b.request("x").respond(204, true)
		x.hears("head 204 end")
		for _, c := range []*caller{x, y, z} {
			c.release()
		}
		b.counts(0, 0, 1, 0, 1)
		b.h2answered("again")
		b.connections(0)
		if b.meter.reused != 1 {
			t.Errorf("%d connections were used again", b.meter.reused)
		}
		b.loop.Advance(29 * time.Second)
		b.counts(0, 0, 1, 0, 1)
		b.loop.Advance(2 * time.Second)
		b.counts(0, 0, 0, 0, 0)
		if o := b.h2origins[0]; o.closed != "end" || o.away != "NO_ERROR" {
			t.Errorf("the connection ended by %q, GOAWAY %q", o.closed, o.away)
		}
		b.clean()
	}
}

// Once the server has said how many streams it takes, further requests get further connections: the first with room.
func TestH2Room(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	b.h2answered("first")
	var callers []*caller
	for i := range 7 {
		callers = append(callers, b.open(fmt.Sprint(i)))
	}
	b.loop.Run()
	if n := len(b.h2origins); n != 3 {
		t.Fatalf("%d connections carry 7 requests", n)
	}
	first := b.h2origins[0].session
	if n := first.Streams(); n != 3 {
		t.Fatalf("the first connection carries %d requests", n)
	}
	answered := b.h2origins[0].streams[1] // behind that of "first"
	answered.answer("hi")
	b.loop.Run()
	callers = append(callers, b.open("7"))
	b.request("7")
	if n := first.Streams(); n != 3 {
		t.Fatalf("the first connection carries %d requests after one was answered and one came", n)
	}
	for i, c := range callers {
		if string(answered.head.Path) != "/"+c.name {
			b.request(c.name).answer("hi")
		}
		b.loop.Run()
		if c.err != nil {
			t.Errorf("%d failed: %v", i, c.err)
		}
		c.release()
	}
	b.counts(0, 0, 3, 0, 3)
	b.clean()
}

// A server that takes fewer streams than was assumed refuses some of the first requests; asked again, all of them find a
// place, on as many connections as it takes.
func TestH2RoomLearnt(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	b.loop.Net.Delay = 5 * time.Millisecond
	const all = 10
	var callers []*caller
	for i := range all {
		callers = append(callers, b.open(fmt.Sprint(i)))
	}
	b.loop.Advance(50 * time.Millisecond)
	var again []*caller
	for _, c := range callers {
		switch {
		case c.err == nil:
			b.request(c.name).answer("hi")
		case c.err.Retry != codec.RetrySafe:
			t.Errorf("%s failed: %v", c.name, c.err)
		default:
			again = append(again, b.open("again"+c.name))
		}
	}
	if len(again) != all-3 {
		t.Fatalf("%d were refused", len(again))
	}
	b.loop.Advance(50 * time.Millisecond)
	for _, c := range again {
		if c.err != nil {
			t.Fatalf("%s failed: %v", c.name, c.err)
		}
		b.request(c.name).answer("hi")
	}
	b.loop.Advance(50 * time.Millisecond)
	for _, c := range append(callers, again...) {
		c.release()
	}
	open := int64(len(b.h2origins))
	b.counts(0, 0, open, 0, open)
	b.clean()
}

// A stream that is free again only when the rest of its request has left goes to who waits, too.
func TestH2RoomBehindAnEarlyResponse(t *testing.T) {
	c := h2Config()
	c.MaxStreams = 1
	b := newH2Bed(t, 1, c, func(o *Options) { o.MaxConnections = 1 })
	b.h2answered("first")
	z := b.openWith("z", streaming(codec.ByChunks, -1))
	r := b.request("z")
	r.stream.Hold(true)
	b.loop.Run()
	z.stream.Data(make([]byte, 100<<10), true)
	b.loop.Run()
	r.early = true
	r.stream.Head(&codec.Head{Version: codec.HTTP2, Status: 204, Length: -1, Framing: codec.NoContent}, true)
	b.loop.Run()
	z.release()
	next := b.open("next")
	b.counts(0, 1, 0, 1, 1)
	r.stream.Hold(false)
	b.loop.Run()
	if !r.ended || len(r.content) != 100<<10 {
		t.Fatalf("the server has %d bytes", len(r.content))
	}
	b.request("next").answer("hi")
	b.loop.Run()
	if next.err != nil {
		t.Error(next.err)
	}
	next.release()
	b.clean()
}

// With a limit of connections requests wait for a stream; one connection a loop may always have.
func TestH2ConnectionLimit(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), func(o *Options) { o.MaxConnections = 1 })
	b.h2answered("first")
	var callers []*caller
	for i := range 5 {
		callers = append(callers, b.open(fmt.Sprint(i)))
	}
	b.counts(0, 5, 0, 2, 1)
	b.request("0").answer("hi")
	b.counts(0, 4, 0, 1, 1)
	callers[1].release() // reset: there is room for the last one
	b.counts(0, 3, 0, 0, 1)
	for _, i := range []int{2, 3, 4} {
		b.request(fmt.Sprint(i)).answer("hi")
	}
	for i, c := range callers {
		if i != 1 {
			c.hears("ready", "head 200", "data hi end")
			c.release()
		}
	}
	if got := b.h2origins[0].streams[2].heard; len(got) != 1 || !strings.Contains(got[0], "reset") {
		t.Errorf("the server heard %q of the request that was cancelled", got)
	}
	b.counts(0, 0, 1, 0, 1)
	x := b.openWith("late", func(c *caller) {})
	y, z, w := b.open("y"), b.open("z"), b.open("w")
	w.hears()
	b.loop.Advance(1010 * time.Millisecond)
	w.hears(failedWith(errQueueTimeout))
	for _, c := range []*caller{w, x, y, z} {
		c.release()
	}
	b.clean()
}

// A server that goes away after each request does not undo the limit.
func TestH2LimitBesideLeavingConnections(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), func(o *Options) { o.MaxConnections = 1; o.QueueTimeout = time.Minute })
	const all = 10
	var callers []*caller
	for i := range all {
		callers = append(callers, b.open(fmt.Sprint(i)))
		if b.loop.Run(); i < maxLeaving {
			b.h2origins[i].session.Shutdown()
			b.loop.Run()
		}
	}
	b.counts(0, all, 0, all-maxLeaving, maxLeaving)
	for i, x := range callers {
		b.request(fmt.Sprint(i)).answer("hi")
		x.hears("ready", "head 200", "data hi end")
		x.release()
	}
	b.clean()
}

func TestH2OneConnectionForEachLoop(t *testing.T) {
	beds := newBeds(t, 3, 2, func(o *Options) { o.MaxConnections = 1 })
	a, b := beds[0], beds[1]
	a.targets[0].Protocol = ProtocolH2C
	a.listenH2(0, h2Config(), func(r *h2request) { r.answer("hi") })
	for _, bed := range []*bed{a, b, b} {
		x := bed.open("x")
		x.hears("ready", "head 200", "data hi end")
		x.release()
	}
	if n := a.targets[0].Open(); n != 2 {
		t.Errorf("%d connections are open", n)
	}
	cleanAll(beds)
}

// A response before the whole request is delivered, and the request stopped; the connection is used on.
func TestH2EarlyResponse(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	x := b.openWith("x", streaming(codec.ByLength, 10))
	x.hears("ready")
	x.stream.Data([]byte("12345"), false)
	r := b.request("x")
	r.respond(413, false)
	r.stream.Data([]byte("no"), true)
	x.hears("head 413", "data no end")
	x.stream.Data([]byte("67890"), true) // nobody is there to take it
	x.release()
	b.loop.Run()
	if r.content != "12345" || r.ended || len(r.heard) != 1 {
		t.Errorf("the server heard %q, end %v, %q", r.content, r.ended, r.heard)
	}
	b.h2answered("next")
	b.connections(0)
	b.clean()
}

// The receiver may give the attempt back inside any call, and open another one there, which may get the same memory.
func TestH2ReleaseInsideACall(t *testing.T) {
	for _, at := range []string{"ready", "head 103", "head 200", "data", "trailers", "end", "failed"} {
		b := newH2Bed(t, 1, h2Config(), nil)
		var next *caller
		x := b.openWith("x", func(x *caller) {
			x.react = func(event string) {
				if next == nil && strings.Contains(event, at) {
					x.release()
					next = b.open("next")
				}
			}
		})
		b.loop.Run()
		if r := b.requests()["x"]; r != nil {
			r.respond(103, false)
			r.respond(200, false)
			b.loop.Run()
			switch {
			case r.over:
			case at == "failed":
				r.release()
			case at == "trailers":
				r.stream.Trailers([]codec.Field{{Name: []byte("a"), Value: []byte("b")}})
				r.release()
			default:
				r.stream.Data([]byte("hi"), true)
				r.release()
			}
		}
		b.loop.Run()
		if next == nil {
			t.Fatalf("only %q was heard", x.heard)
		}
		b.request("next").answer("hi")
		next.hears("ready", "head 200", "data hi end")
		next.release()
		b.connections(0)
		b.clean()
	}
}

// The times of a request are those of HTTP/1.1.
func TestH2Timeouts(t *testing.T) {
	t.Run("no response", func(t *testing.T) {
		b := newH2Bed(t, 1, h2Config(), nil)
		x := b.open("x")
		x.hears("ready")
		b.loop.Advance(19990 * time.Millisecond)
		x.hears()
		b.loop.Advance(20 * time.Millisecond)
		x.hears(failedWith(errHeadTimeout))
		x.release()
		b.h2answered("next")
		b.connections(0)
		b.clean()
	})
	t.Run("silence in a response", func(t *testing.T) {
		b := newH2Bed(t, 1, h2Config(), nil)
		x := b.open("x")
		x.hears("ready")
		r := b.request("x")
		r.respond(200, false)
		x.hears("head 200")
		for range 3 {
			b.loop.Advance(6 * time.Second)
			r.stream.Data([]byte("a"), false)
			x.hears("data a")
		}
		b.loop.Advance(10010 * time.Millisecond)
		x.hears(failedWith(errIdleTimeout))
		x.release()
		b.clean()
	})
	t.Run("the client is slow to send", func(t *testing.T) {
		b := newH2Bed(t, 1, h2Config(), nil)
		x := b.openWith("x", streaming(codec.ByLength, 4))
		x.hears("ready")
		b.loop.Advance(time.Minute)
		x.hears()
		x.stream.Data([]byte("abcd"), true)
		b.loop.Advance(20010 * time.Millisecond)
		x.hears(failedWith(errHeadTimeout))
		x.release()
		b.clean()
	})
	t.Run("the server takes no content", func(t *testing.T) {
		b := newH2Bed(t, 1, h2Config(), nil)
		x := b.openWith("x", streaming(codec.ByLength, 1<<20))
		x.hears("ready")
		b.request("x").stream.Hold(true)
		x.stream.Data(make([]byte, 200<<10), false)
		b.loop.Advance(20010 * time.Millisecond)
		x.hears(failedWith(errHeadTimeout))
		x.release()
		b.clean()
	})
	t.Run("the receiver holds", func(t *testing.T) {
		b := newH2Bed(t, 1, h2Config(), nil)
		x := b.open("x")
		x.hears("ready")
		r := b.request("x")
		r.respond(200, false)
		x.hears("head 200")
		x.stream.Hold(true)
		r.stream.Data([]byte("more"), false)
		b.loop.Advance(time.Minute)
		x.hears()
		x.stream.Hold(false)
		x.hears("data more")
		b.loop.Advance(10010 * time.Millisecond)
		x.hears(failedWith(errIdleTimeout))
		x.release()
		b.clean()
	})
}

// A client that does not read holds up its own response only; a server that does not read, its own request only.
func TestH2BackPressure(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	x, y := b.openWith("x", streaming(codec.ByLength, 300<<10)), b.open("y")
	x.hears("ready")
	y.hears("ready")
	r := b.request("x")
	r.stream.Hold(true)
	x.stream.Data(make([]byte, 300<<10), true)
	b.loop.Run()
	if q := x.stream.Queued(); q <= codec.HighMark {
		t.Fatalf("%d bytes are queued", q)
	}
	b.request("y").respond(200, false)
	y.hears("head 200")
	y.stream.Hold(true)
	s := b.request("y").stream
	for range 10 {
		s.Data(make([]byte, 60<<10), false)
		b.loop.Run()
	}
	if q := s.Queued(); q < 600<<10-h2Window-1<<10 {
		t.Fatalf("the server has %d bytes queued", q)
	}
	b.h2answered("z")
	r.stream.Hold(false)
	x.hears("drained")
	if len(r.content) != 300<<10 || !r.ended {
		t.Fatalf("the server received %d bytes, end %v", len(r.content), r.ended)
	}
	r.answer("hi")
	x.hears("head 200", "data hi end")
	y.hears()
	y.stream.Hold(false)
	b.loop.Run()
	b.request("y").stream.Data(nil, true)
	b.request("y").release()
	b.loop.Run()
	if got := strings.Join(y.heard, ""); len(got) != len("data ")+600<<10+len(" end") {
		t.Fatalf("%d bytes were heard", len(got))
	}
	x.release()
	y.release()
	b.connections(0)
	b.clean()
}

// Servers that leave, pools that close and want of descriptors close idle connections at once, others behind what they
// carry.
func TestH2Leaving(t *testing.T) {
	for name, leave := range map[string]func(*bed){
		"retired": func(b *bed) { b.service.SetTargets(nil); b.pools.Adopt(b.service) },
		"closed":  func(b *bed) { b.pools.Close() },
		"shed":    func(b *bed) { b.pools.ShedIdle() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newH2Bed(t, 1, h2Config(), nil)
			b.h2answered("first")
			x := b.open("x")
			x.hears("ready")
			leave(b)
			b.connections(1)
			b.request("x").answer("hi")
			x.hears("head 200", "data hi end")
			x.release()
			if name == "shed" {
				b.counts(0, 0, 1, 0, 1)
				leave(b)
			}
			b.connections(-1)
			b.clean()
		})
	}
}
