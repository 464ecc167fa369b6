package upstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/reactor"
)

// What a server does to a stream, and what may follow. The connection lives on.
func TestH2StreamFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		act   func(*h2request)
		heard []string
		retry codec.Retry
	}{
		{"reset", func(r *h2request) { r.release() }, []string{"failed: HTTP/2: the peer reset the stream"}, codec.RetryUnanswered},
		{"reset behind the head", func(r *h2request) { r.respond(200, false); r.release() },
			[]string{"head 200", "failed: HTTP/2: the peer reset the stream"}, codec.RetryNever},
		{"reset behind content", func(r *h2request) { r.respond(200, false); r.stream.Data([]byte("ab"), false); r.release() },
			[]string{"head 200", "data ab", "failed: HTTP/2: the peer reset the stream"}, codec.RetryNever},
		{"too short", func(r *h2request) {
			r.stream.Head(&codec.Head{Version: codec.HTTP2, Status: 200, Length: 9, Framing: codec.ByLength}, false)
			r.stream.Data([]byte("ab"), true)
			r.release()
		}, []string{"head 200", "failed: HTTP/2: the message is malformed"}, codec.RetryNever},
		{"interim", func(r *h2request) { r.respond(103, false); r.answer("hi") },
			[]string{"head 103", "head 200", "data hi end"}, 0},
		{"too many interim", func(r *h2request) {
			for range maxInterim + 1 {
				r.respond(103, false)
			}
		}, append(strings.Split(strings.Repeat("head 103,", maxInterim)[:9*maxInterim-1], ","), failedWith(errInterim)), codec.RetryNever},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newH2Bed(t, 1, h2Config(), nil)
			x, other := b.open("x"), b.open("other")
			x.hears("ready")
			c.act(b.request("x"))
			x.hears(c.heard...)
			if x.err != nil && x.err.Retry != c.retry {
				t.Errorf("what may follow is %v, want %v", x.err.Retry, c.retry)
			}
			x.release()
			b.request("other").answer("hi")
			other.hears("ready", "head 200", "data hi end")
			other.release()
			b.h2answered("next")
			if len(b.h2origins) != 1 {
				t.Errorf("%d connections were opened", len(b.h2origins))
			}
			b.clean()
		})
	}
}

// More requests than the server takes: those refused may be sent anywhere, for it has not looked at them.
func TestH2Refused(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	var callers []*caller
	for i := range 5 { // all at once on a new connection, whose settings have not come
		callers = append(callers, b.open(fmt.Sprint(i)))
	}
	b.loop.Run()
	refused := 0
	for i, c := range callers {
		if c.err == nil {
			b.request(fmt.Sprint(i)).answer("hi")
			c.hears("ready", "head 200", "data hi end")
		} else if refused++; c.err != errNotTaken {
			t.Errorf("refused with %+v", c.err)
		}
		c.release()
	}
	if refused != 2 {
		t.Errorf("%d of 5 requests were refused, the server takes 3", refused)
	}
	b.clean()
}

// A server that goes away ends what it has; what it has not taken, and what comes then, goes to another connection.
func TestH2GoAway(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	x := b.open("x")
	x.hears("ready")
	b.h2origins[0].session.Shutdown()
	b.loop.Run()
	y := b.open("y")
	y.hears("ready")
	b.connections(1, 1)
	b.h2origins[1].session.Finish()
	b.request("x").answer("hi")
	x.hears("head 200", "data hi end")
	b.connections(-1, 1)
	b.request("y").answer("hi")
	y.hears("head 200", "data hi end")
	b.connections(-1, -1)
	b.counts(0, 0, 0, 0, 0)
	x.release()
	y.release()
	b.clean()
}

// Requests above the last stream of a GOAWAY were not looked at.
func TestH2GoAwayBeforeARequest(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	x := b.open("x")
	x.hears("ready")
	b.request("x")
	b.h2origins[0].session.Finish() // crosses y
	y := b.open("y")
	y.hears("ready", failedWith(errNotTaken))
	if y.err.Retry != codec.RetrySafe || blames(y.err) {
		t.Errorf("what may follow is %v", y.err.Retry)
	}
	y.release()
	b.request("x").answer("hi")
	x.hears("head 200", "data hi end")
	x.release()
	b.connections(-1)
	b.clean()
}

// How the end of a connection ends what it carries.
func TestH2ConnectionLost(t *testing.T) {
	for _, c := range []struct {
		name  string
		used  bool // the connection carried a request before
		act   func(*bed)
		heard []string
		retry codec.Retry
	}{
		{"nothing came", false, nil, []string{failedWith(errClosed)}, codec.RetryUnanswered},
		{"an idle one", true, nil, []string{failedWith(errIdleRace)}, codec.RetryIdle},
		{"an idle one, another answered", true, func(b *bed) { b.request("other").answer("hi") },
			[]string{failedWith(errClosed)}, codec.RetryUnanswered},
		{"behind the head", true, func(b *bed) { b.request("x").respond(200, false) },
			[]string{"head 200", failedWith(errTruncated)}, codec.RetryNever},
		{"behind an interim response", true, func(b *bed) { b.request("x").respond(103, false) },
			[]string{"head 103", failedWith(errTruncated)}, codec.RetryNever},
	} {
		for _, end := range []string{"end", "reset"} {
			t.Run(c.name+", "+end, func(t *testing.T) {
				b := newH2Bed(t, 1, h2Config(), nil)
				if c.used {
					b.h2answered("first")
				}
				x, other := b.open("x"), b.open("other")
				x.hears("ready")
				if c.act != nil {
					c.act(b)
					b.loop.Run()
				}
				if conn := b.h2origins[0].conn; end == "end" {
					conn.Close(false)
				} else {
					conn.Abort()
				}
				x.hears(c.heard...)
				if x.err.Retry != c.retry {
					t.Errorf("what may follow is %v, want %v", x.err.Retry, c.retry)
				}
				x.release()
				other.release()
				b.counts(0, 0, 0, 0, 0)
				b.clean()
			})
		}
	}
}

// Of several requests on a new connection that is lost, none hears that the connection had been idle, though others ended
// before it did.
func TestH2ConnectionLostUnderSeveral(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	callers := []*caller{b.open("first")}
	callers[0].hears("ready") // and the settings have come
	for _, name := range []string{"second", "third"} {
		x := b.open(name)
		x.hears("ready")
		callers = append(callers, x)
	}
	b.h2origins[0].conn.Abort()
	for _, x := range callers {
		x.hears(failedWith(errClosed))
		x.release()
	}
	b.clean()
}

// What never left is safe to send again, whatever else is on the connection.
func TestH2Unsent(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), nil)
	b.h2answered("first")
	o := b.h2origins[0]
	o.conn.Hold(true)
	big := b.openWith("big", streaming(codec.ByLength, 1<<20))
	big.hears("ready")
	for range 4 {
		big.stream.Data(make([]byte, 60<<10), false)
		b.loop.Run()
	}
	late := b.open("late")
	late.hears("ready")
	if got := b.requests()["late"]; got != nil {
		t.Fatal("the request left after all")
	}
	o.conn.Abort()
	late.hears(failedWith(errUnsent))
	big.hears(failedWith(errIdleRace))
	late.release()
	big.release()
	b.clean()
}

// A connection whose server is gone without a word ends all it carries, long before their times are over; one that is
// only quiet is left alone, and not asked too often.
func TestH2Pings(t *testing.T) {
	b := newH2Bed(t, 1, h2Config(), func(o *Options) { o.RequestTimeout = time.Hour })
	x := b.open("x")
	x.hears("ready")
	y := b.openWith("y", streaming(codec.ByLength, 10))
	y.hears("ready")
	b.h2origins[0].conn.Hold(true)
	b.loop.Advance(14990 * time.Millisecond)
	x.hears()
	b.loop.Advance(30 * time.Millisecond)
	x.hears(failedWith(errSilent))
	y.hears(failedWith(errSilent))
	if x.err.Retry != codec.RetryUnanswered || !blames(x.err) {
		t.Errorf("the error is %+v", x.err)
	}
	x.release()
	y.release()
	b.counts(0, 0, 0, 0, 0)

	z := b.open("z")
	z.hears("ready")
	b.loop.Advance(30 * time.Minute)
	z.hears()
	c := z.attempt.h2.conn
	if c.pings < 6 || c.pings > 8 {
		t.Errorf("%d pings in half an hour of silence", c.pings)
	}
	b.request("z").respond(200, false)
	z.hears("head 200")
	if c.pings != 0 {
		t.Errorf("%d pings are counted after a response", c.pings)
	}
	z.release()
	b.clean()
}

// A server that speaks no HTTP/2 gets no second chance, and one that hangs up at once is not dialled for ever.
func TestH2Nonsense(t *testing.T) {
	b := newH2Bed(t, 1, h2.Config{}, nil)
	b.listen(0)
	x := b.open("x")
	x.hears("ready")
	b.origins[0].conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	b.loop.Run()
	if x.err == nil || x.err.Status != 502 || x.err.Retry != codec.RetryUnanswered {
		t.Errorf("heard %q, %+v", x.heard, x.err)
	}
	x.release()
	b.loop.Listen(originAddr(0), func(c reactor.Conn) reactor.Sink {
		c.Close(false)
		return &origin{conn: c}
	})
	y := b.open("y")
	b.loop.Run()
	if y.err == nil || y.err.Status != 502 || !blames(y.err) {
		t.Errorf("heard %q, %+v", y.heard, y.err)
	}
	y.release()
	b.clean()
}
