package upstream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// pipelineBed is a service of one server to whose connections up to depth requests go.
func pipelineBed(t testing.TB, depth int, change ...func(*Options)) *bed {
	return newBed(t, 1, func(o *Options) {
		o.Multiplex, o.PipelineDepth = MultiplexPipeline, depth
		for _, f := range change {
			f(o)
		}
	})
}

// bare begins an attempt that may share its connection.
func (b *bed) bare(name string) *caller {
	return b.openWith(name, func(c *caller) { c.shape = ShapeBare })
}

// bares begins this many, which are sent together and hear ready.
func (b *bed) bares(names ...string) (callers []*caller) {
	b.t.Helper()
	for _, name := range names {
		callers = append(callers, b.bare(name))
	}
	for _, c := range callers {
		c.hears("ready")
	}
	return callers
}

// saying is a response of this content.
func saying(text string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}

func (o *origin) say(text string) { o.conn.Write([]byte(text)) }

// paths are those of the requests that the server got since the last take.
func (o *origin) paths() string {
	var paths []string
	for line := range strings.Lines(o.take()) {
		if path, ok := strings.CutPrefix(line, "GET /"); ok {
			paths = append(paths, strings.TrimSuffix(path, " HTTP/1.1\r\n"))
		}
	}
	return strings.Join(paths, " ")
}

// answeredElsewhere has each caller be asked for its request again and answered on one of the connections from first on.
func (b *bed) answeredElsewhere(first int, callers ...*caller) {
	b.t.Helper()
	b.loop.Run()
	for _, o := range b.origins[first:] {
		if got := o.paths(); got != "" {
			o.say(saying(got))
		}
	}
	for _, c := range callers {
		c.hears("ready", "head 200", "data "+c.name+" end")
		c.release()
	}
	if b.meter.replayed != len(callers) {
		b.t.Errorf("%d requests count as sent again, want %d", b.meter.replayed, len(callers))
	}
}

// Requests share a connection and each hears its own response, however the bytes are cut. The connection is an idle one
// afterwards, for requests of any kind.
func TestPipelineKeepsOrder(t *testing.T) {
	for seed := range uint64(20) {
		b := pipelineBed(t, 8)
		b.reseed(seed)
		callers := b.bares("a", "b", "c")
		b.served(1)
		o := b.origins[0]
		if got := o.paths(); got != "a b c" {
			t.Fatalf("seed %d: the server got %q", seed, got)
		}
		o.say(saying("A") + "HTTP/1.1 103 Early Hints\r\n\r\n" +
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nB\r\n0\r\nX: y\r\n\r\n" + "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
		callers[0].hears("head 200", "data A end")
		callers[1].hears("head 103", "head 200", "data B", "trailers X=y")
		callers[2].hears("head 404 end")
		for _, c := range callers {
			c.release()
		}
		b.counts(0, 0, 1, 0, 1)
		b.answered("plain", 0)
		more := b.bares("d", "e")
		o.take()
		o.say(saying("D") + saying("E"))
		more[1].hears("head 200", "data E end")
		more[0].hears("head 200", "data D end")
		more[0].release()
		more[1].release()
		b.served(1)
		if b.meter.reused < 3 || b.meter.replayed != 0 {
			t.Fatalf("seed %d: %d reused, %d replayed", seed, b.meter.reused, b.meter.replayed)
		}
		b.clean()
	}
}

// A connection is filled before there is another, and requests that may not share one do not.
func TestPipelineFillsFewConnections(t *testing.T) {
	b := pipelineBed(t, 3)
	callers := b.bares("a", "b", "c", "d", "e", "f", "g")
	b.served(3)
	other := b.open("plain")
	other.hears("ready")
	b.served(4)
	got := map[string]*origin{}
	for _, o := range b.origins {
		got[o.paths()] = o
	}
	first := got["a b c"]
	if len(got) != 4 || first == nil || got["d e f"] == nil || got["g"] == nil || got["plain"] == nil {
		t.Fatalf("the connections got %v", slices.Collect(maps.Keys(got)))
	}
	first.say(saying("A") + saying("B"))
	callers[0].hears("head 200", "data A end")
	callers[1].hears("head 200", "data B end")
	next := b.bares("h")[0]
	if got := first.paths() + got["d e f"].paths() + got["g"].paths(); got != "h" || len(b.origins) != 4 {
		t.Errorf("the connections got %q, and there are %d", got, len(b.origins))
	}
	for _, c := range append(callers, next, other) {
		c.release()
	}
	b.orphans = true
	for _, o := range b.origins {
		o.conn.Abort()
	}
	b.clean()
}

// The first of three requests on one connection is answered so, and the others are asked for again and answered on
// connections of their own: whatever leaves a doubt about where a response ends, closes its connection.
func TestPipelineEnds(t *testing.T) {
	failed := func(e *codec.Error) string { return "failed: " + e.Cause.Error() }
	end := func(o *origin) { o.conn.Close(false) }
	reset := func(o *origin) { o.conn.Abort() }
	const head = "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct {
		name  string
		sent  string
		after func(*origin)
		heard []string // by the first
	}{
		{"close", head + "Connection: close\r\nContent-Length: 2\r\n\r\nhi", nil, []string{"head 200", "data hi end"}},
		{"close, and more", head + "Connection: close\r\nContent-Length: 2\r\n\r\nhi" + saying("evil"), nil,
			[]string{"head 200", "data hi end"}},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", nil, []string{"head 200", "data hi end"}},
		{"until close", head + "\r\nhi", end, []string{"head 200", "data hi end"}},
		{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 40\r\n\r\n" + saying("evil"), nil, []string{"head 304 end"}},
		{"204 with length", "HTTP/1.1 204 No Content\r\nContent-Length: 40\r\n\r\n" + saying("evil"), nil, []string{"head 204 end"}},
		{"204 with chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n" + saying("evil"), nil,
			[]string{"head 204 end"}},
		{"end behind it", saying("hi"), end, []string{"head 200", "data hi end"}},
		{"end in content", head + "Content-Length: 9\r\n\r\nhi", end, []string{"head 200", "data hi", failed(errTruncated)}},
		{"end before it", "", end, []string{failed(errClosed)}},
		{"reset before it", "", reset, []string{failed(errClosed)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(10) {
				b := pipelineBed(t, 8)
				b.reseed(seed)
				callers := b.bares("a", "b", "c")
				o := b.origins[0]
				if got := o.paths(); got != "a b c" {
					t.Fatalf("the server got %q", got)
				}
				o.say(c.sent)
				if c.after != nil {
					c.after(o)
				}
				callers[0].hears(c.heard...)
				callers[0].release()
				b.answeredElsewhere(1, callers[1:]...)
				b.clean()
			}
		})
	}
}

// What cannot be parsed fails the request whose response it should be, and no other.
func TestPipelineOfNonsense(t *testing.T) {
	b := pipelineBed(t, 8)
	callers := b.bares("a", "b", "c")
	b.origins[0].take()
	b.origins[0].say(saying("A") + "<html>\r\n\r\n")
	callers[0].hears("head 200", "data A end")
	b.loop.Run()
	if got := callers[1].heard; len(got) != 1 || !strings.HasPrefix(got[0], "failed: ") || callers[1].err.Kind != codec.KindSyntax {
		t.Fatalf("the second heard %q", got)
	}
	callers[0].release()
	callers[1].release()
	b.answeredElsewhere(1, callers[2])
	b.clean()
}

// What comes before its request has left is no response to it, and none that nobody asked for is ever passed on.
func TestPipelineUnasked(t *testing.T) {
	for name, c := range map[string]struct {
		window int // which bytes are under way at most
		said   string
	}{
		"request not sent": {len("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"), saying("A") + saying("evil")},
		"one too many":     {1000, saying("A") + saying("B") + saying("evil")},
	} {
		t.Run(name, func(t *testing.T) {
			b := pipelineBed(t, 8)
			b.loop.Net.Window = c.window
			b.loop.Listen(originAddr(0), func(conn reactor.Conn) reactor.Sink {
				conn.Hold(true) // what is under way is all that leaves
				b.origins = append(b.origins, &origin{conn: conn})
				return b.origins[0]
			})
			a, late := b.bare("a"), b.bare("b")
			late.react = func(event string) {
				if strings.Contains(event, "evil") {
					t.Errorf("the second request heard %q", event)
				}
			}
			a.hears("ready")
			b.origins[0].say(c.said)
			a.hears("head 200", "data A end")
			if b.loop.Run(); name == "request not sent" && late.err != errUnsent {
				t.Errorf("the second request failed with %v", late.err)
			}
			a.release()
			late.release()
			b.counts(0, 0, 0, 0, 0)
			b.clean()
		})
	}
}

// Those behind a response that takes too long go elsewhere: its head is late, or its content, or its client does not
// take it. It is delivered all the same, and its connection closed behind it.
func TestPipelineStalls(t *testing.T) {
	whole := "data " + strings.Repeat("x", 10) + " end"
	for name, c := range map[string]struct {
		first, rest string // of the response
		hold        bool
		heard       []string
	}{
		"head":    {"", saying("xxxxxxxxxx"), false, []string{"head 200", whole}},
		"content": {saying("xxxxxxxxxx")[:45], saying("xxxxxxxxxx")[45:], false, []string{"head 200", whole}},
		"client":  {saying("xxxxxxxxxx")[:45], saying("xxxxxxxxxx")[45:], true, []string{"head 200", whole}},
	} {
		t.Run(name, func(t *testing.T) {
			b := pipelineBed(t, 8)
			callers := b.bares("a", "b", "c")
			o := b.origins[0]
			o.take()
			o.say(c.first)
			b.loop.Run()
			if c.hold {
				callers[0].stream.Hold(true)
				o.say(c.rest + saying("B"))
			}
			b.loop.Advance(stallTime - 2*reactor.Tick)
			b.served(1)
			b.loop.Advance(4 * reactor.Tick)
			b.served(3)
			later := b.bares("d") // not behind what stalls
			b.served(4)
			if !c.hold {
				o.say(c.rest)
			} else {
				callers[0].stream.Hold(false)
			}
			callers[0].hears(c.heard...)
			callers[0].release()
			b.answeredElsewhere(1, callers[1:]...)
			later[0].hears("head 200", "data d end")
			later[0].release()
			if b.loop.Run(); o.closed != "end" {
				t.Errorf("the connection is %q", o.closed)
			}
			b.clean()
		})
	}
}

// Nobody waits for a response that is known to be large.
func TestPipelineBulk(t *testing.T) {
	b := pipelineBed(t, 8)
	callers := b.bares("a", "b")
	b.origins[0].take()
	b.origins[0].say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", bulk+1))
	callers[0].hears("head 200")
	b.answeredElsewhere(1, callers[1])
	callers[0].release()
	b.clean()
}

// Where no other connection is to be had, requests wait on. Their time runs from when they were sent.
func TestPipelineWithoutOtherConnections(t *testing.T) {
	b := pipelineBed(t, 8, func(o *Options) { o.MaxConnections = 1 })
	callers := b.bares("a", "b")
	first, second := callers[0], callers[1]
	b.loop.Advance(15 * time.Second)
	late := b.bare("late") // not behind what stalls
	b.loop.Advance(time.Second + reactor.Tick)
	late.hears("failed: " + errQueueTimeout.Cause.Error())
	late.release()
	b.served(1)
	b.origins[0].say(saying("A"))
	first.hears("head 200", "data A end")
	first.release()
	b.loop.Advance(5 * time.Second) // 21 s after it was sent
	second.hears("failed: " + errHeadTimeout.Cause.Error())
	second.release()
	b.clean()
}

// A server that ends its connections under requests has one for each, until it is tried again.
func TestPipelineDistrust(t *testing.T) {
	b := pipelineBed(t, 8)
	callers := b.bares("a", "b")
	b.origins[0].take()
	b.origins[0].say(saying("A"))
	b.origins[0].conn.Close(false)
	callers[0].hears("head 200", "data A end")
	callers[0].release()
	b.answeredElsewhere(1, callers[1])
	two := func(connections int) {
		t.Helper()
		before := len(b.origins)
		callers := b.bares("d", "e")
		b.loop.Run()
		for _, o := range b.origins {
			if o.closed == "" {
				for range strings.Count(o.take(), "GET ") {
					o.say(saying("x"))
				}
			}
		}
		callers[0].hears("head 200", "data x end")
		callers[1].hears("head 200", "data x end")
		callers[0].release()
		callers[1].release()
		if got := len(b.origins) - before; got != connections {
			t.Errorf("%d connections were opened, want %d", got, connections)
		}
	}
	two(1) // there is an idle one
	b.loop.Advance(distrust)
	two(1) // that had expired
	b.clean()
}

// A request that needs a connection to itself does not wait for ever where all are shared.
func TestPipelineMakesRoom(t *testing.T) {
	b := pipelineBed(t, 8, func(o *Options) { o.MaxConnections = 1 })
	callers := b.bares("a", "b")
	plain := b.open("plain")
	late := b.bare("late")
	b.loop.Run()
	o := b.origins[0]
	if got := o.paths(); got != "a b" {
		t.Fatalf("the server got %q", got)
	}
	o.say(saying("A") + saying("B"))
	callers[0].hears("head 200", "data A end")
	callers[1].hears("head 200", "data B end")
	plain.hears("ready")
	if got := o.paths(); got != "plain" {
		t.Fatalf("the server got %q", got)
	}
	o.say(saying("P"))
	plain.hears("head 200", "data P end")
	late.hears("ready")
	o.say(saying("L"))
	late.hears("head 200", "data L end")
	for _, c := range append(callers, plain, late) {
		c.release()
	}
	b.served(1)
	b.clean()
}

// Requests go on where they are when their server leaves the service or the settings change, and those that cannot go
// to another server.
func TestPipelineOfServerThatLeft(t *testing.T) {
	b := pipelineBed(t, 8)
	callers := b.bares("a", "b", "c")
	b.service.SetTargets(nil)
	o := b.origins[0]
	b.pools.local(b.service)
	o.say(saying("A"))
	callers[0].hears("head 200", "data A end")
	o.conn.Close(false)
	callers[1].hears("failed: " + errServerLeft.Cause.Error())
	callers[2].hears("failed: " + errServerLeft.Cause.Error())
	for _, c := range callers {
		c.release()
	}
	b.clean()
}

// An unsendable head fails its request alone.
func TestPipelineUnsendable(t *testing.T) {
	b := pipelineBed(t, 8)
	bad := b.openWith("bad", func(c *caller) { c.shape, c.request.Authority = ShapeBare, []byte("no good") })
	good := b.bare("good")
	bad.hears("ready", "failed: "+errUnsendable.Cause.Error())
	good.hears("ready")
	b.origins[0].say(saying("G"))
	good.hears("head 200", "data G end")
	good.release()
	bad.release()
	b.clean()
}

// A server that takes long for each has a connection for each request, and is tried again after a while; one that is
// merely slower has fewer follow one another.
func TestPipelineSlowServer(t *testing.T) {
	for _, c := range []struct {
		gap    time.Duration // between responses
		rounds int           // of 8 requests
		depth  int           // in the end
	}{
		{0, 6, 8}, {waitBudget / 100, 6, 8}, {waitBudget / 4, 6, 4}, {waitBudget, 6, 0}, {50 * time.Millisecond, 2, 0},
	} {
		b := pipelineBed(t, 8)
		for range c.rounds {
			callers := b.bares("a", "b", "c", "d", "e", "f", "g", "h")
			b.loop.Run()
			for range callers {
				for _, o := range b.origins {
					if o.got != "" {
						o.say(saying("x"))
						_, o.got, _ = strings.Cut(o.got, "\r\n\r\n")
					}
				}
				b.loop.Advance(c.gap)
			}
			for _, c := range callers {
				c.release()
			}
		}
		q := b.pools.local(b.service).pools[0]
		depth := 0
		if q.pipelines(ShapeBare) {
			depth = q.pace.depth(8)
		}
		if depth != c.depth {
			t.Errorf("%v between responses: %d follow one another, want %d", c.gap, depth, c.depth)
		}
		if b.loop.Advance(breather); !q.pipelines(ShapeBare) || q.pace.depth(8) < 4 {
			t.Errorf("%v between responses: it is not tried again", c.gap)
		}
		b.orphans = true
		for _, o := range b.origins {
			o.conn.Abort()
		}
		b.clean()
	}
}
