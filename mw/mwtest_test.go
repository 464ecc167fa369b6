package mw

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
	"traffic_management/internal/sim"
	"traffic_management/routing"
	"traffic_management/upstream"
)

// bed is filters between clients of either version, whose requests a test makes with ask and begin, and one server of
// HTTP/1.1 over simulated connections, which answers what the test says. Nothing passes but virtual time.
type bed struct {
	t     testing.TB
	loop  *bedLoop
	route *exchange.Route
	env   *exchange.Env // a test may change Trusted before it asks
	local *exchange.Local

	from     netip.AddrPort       // where clients come from
	tls      *tls.ConnectionState // of clients' sessions; nil: clear text
	requests []string             // whole requests that the server got, as they came
	answer   func(request *http.Request) string
	servers  []*bedServer // connections the server accepted, in order
	calls    map[*exchange.Exchange]*call
}

// bedServerAddr is where the server listens.
var bedServerAddr = reactor.Addr{TCP: netip.MustParseAddrPort("192.0.2.1:80")}

// bedAnswer is what the server says unless the test gives another answer.
const bedAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// newBed puts the filters, in this order, between clients and a server that answers everything with bedAnswer.
func newBed(t testing.TB, filters ...exchange.Filter) *bed {
	t.Helper()
	b := &bed{t: t, loop: newBedLoop(), from: netip.MustParseAddrPort("198.51.100.7:5000"), calls: map[*exchange.Exchange]*call{},
		answer: func(*http.Request) string { return bedAnswer }}
	b.loop.Net = sim.Net{Window: 1 << 20, Piece: 1 << 20}
	service := b.service("main", bedServerAddr)
	b.loop.Listen(bedServerAddr, func(c reactor.Conn) reactor.Sink {
		b.servers = append(b.servers, &bedServer{bed: b, conn: c})
		return b.servers[len(b.servers)-1]
	})
	rule, err := routing.Parse("Host(`*`)")
	if err != nil {
		t.Fatal(err)
	}
	pools := upstream.NewPools(b.loop, upstream.NewGroup(1), 0, func(*upstream.Service) upstream.Meter { return noMeter{} })
	b.route = &exchange.Route{Name: "main", Service: service, Chain: exchange.NewChain(filters...)}
	b.env = &exchange.Env{Table: routing.NewTable([]routing.Entry[*exchange.Route]{{Name: "main", Rule: rule, Value: b.route}})}
	b.local = exchange.NewLocal(b.loop, pools, b, 1)
	return b
}

// service makes a service of one server at an address; a test listens there, or does not.
func (b *bed) service(name string, at reactor.Addr) *upstream.Service {
	s := upstream.NewService(name, &upstream.Options{ConnectTimeout: time.Second, RequestTimeout: 2 * time.Second, PassHost: true,
		ResponseIdle: 2 * time.Second, QueueTimeout: time.Second, IdleTimeout: time.Minute, MaxIdle: 8,
		HeadLimits: h1.Limits{HeadBytes: 4096, Fields: 50}}, nil)
	s.SetTargets([]*upstream.Target{upstream.NewTarget(name, at, name, 1)})
	return s
}

// eachVersion runs a test for clients of both versions.
func eachVersion(t *testing.T, f func(t *testing.T, v codec.Version)) {
	t.Run("h1", func(t *testing.T) { f(t, codec.HTTP11) })
	t.Run("h2", func(t *testing.T) { f(t, codec.HTTP2) })
}

// run lets everything take its course, without any timer.
func (b *bed) run() {
	for again := true; again; {
		b.loop.Run()
		again = b.loop.collect()
		for _, c := range b.calls {
			again = c.flush() || again
		}
	}
}

// advance is run, and then so much time passes.
func (b *bed) advance(d time.Duration) {
	b.run()
	b.loop.Advance(d)
	b.run()
}

// await runs until cond holds, for work that goes on beside the loop.
func (b *bed) await(what string, cond func() bool) {
	b.t.Helper()
	for b.run(); !cond(); b.run() {
		select {
		case <-b.loop.posted:
		case <-time.After(10 * time.Second):
			b.t.Fatal("in vain: ", what)
		}
	}
}

// Done is the exchange.Observer's.
func (b *bed) Done(x *exchange.Exchange) {
	c := b.calls[x]
	c.err, c.logged = x.Err, x.Status
	delete(b.calls, x)
}

// ask makes a request without content and waits for what comes of it; fields are "name: value". The authority is
// example.org.
func (b *bed) ask(v codec.Version, method, target string, fields ...string) *call {
	b.t.Helper()
	c := b.begin(v, method, target, 0, fields...)
	b.await("the exchange is over", func() bool { return c.over })
	return c
}

// unknown is the length of content that no head tells.
const unknown = -1

// begin begins a request with so many bytes of content, or unknown; see call.send.
func (b *bed) begin(v codec.Version, method, target string, length int64, fields ...string) *call {
	b.t.Helper()
	c := &call{bed: b}
	c.peer = exchange.NewPeer(b.from, netip.MustParseAddrPort("192.0.2.100:443"), b.tls, nil)
	x := b.local.Begin(b.env, c, &c.peer)
	x.RequestHead = bedHead(b.t, v, method, target, length, fields)
	c.x, b.calls[x] = x, c
	x.Request(length == 0)
	b.run()
	return c
}

// bedHead is a request's head as a frontend of this version hands it over.
func bedHead(t testing.TB, v codec.Version, method, target string, length int64, fields []string) codec.Head {
	t.Helper()
	h := codec.Head{Version: v, Method: codec.LookupMethod([]byte(method)), MethodName: []byte(method),
		Authority: []byte("example.org"), Target: []byte(target), Length: -1}
	switch {
	case length > 0:
		h.Framing, h.Length = codec.ByLength, length
		fields = append([]string{"Content-Length: " + strconv.FormatInt(length, 10)}, fields...)
	case length == unknown && v == codec.HTTP2:
		h.Framing = codec.ByEndStream
	case length == unknown:
		h.Framing = codec.ByChunks
		fields = append([]string{"Transfer-Encoding: chunked"}, fields...)
	}
	path, query, ok := strings.Cut(target, "?")
	if h.Path = []byte(path); ok {
		h.Query = []byte(query)
	}
	if v == codec.HTTP2 {
		h.Scheme = []byte("https")
	} else {
		h.Fields = append(h.Fields, codec.NewField(codec.FieldHost, h.Authority))
	}
	for _, f := range fields {
		name, value, ok := strings.Cut(f, ": ")
		if !ok {
			t.Fatalf("%q is no field", f)
		}
		if v == codec.HTTP2 {
			name = strings.ToLower(name)
		}
		h.Fields = append(h.Fields, codec.Field{Name: []byte(name), Value: []byte(value), ID: codec.LookupFieldID([]byte(name))})
	}
	return h
}

// call is the client's side of one exchange.
type call struct {
	bed    *bed
	peer   exchange.Peer
	x      *exchange.Exchange // nil once over
	out    []byte             // content to be sent
	ended  bool               // and it is all
	sent   bool               // also its end
	holds  int
	queued int // what the client is slow to take: a test sets it, then calls drain

	status   int // of the final response
	fields   []codec.Field
	body     string
	trailers []codec.Field
	complete bool         // the response came to its end
	reset    *codec.Error // why it did not
	over     bool         // the observer was told
	err      *codec.Error // what it was told
	logged   int          // and the status
}

// send sends content, when the exchange lets it; end says that it is all.
func (c *call) send(text string, end bool) {
	c.out, c.ended = append(c.out, text...), c.ended || end
	c.bed.run()
}

// flush sends what waits. It reports whether it did.
func (c *call) flush() bool {
	if c.x == nil || c.holds > 0 || c.sent || len(c.out) == 0 && !c.ended {
		return false
	}
	p := c.out
	c.out, c.sent = nil, c.ended
	c.x.RequestData(p, c.ended)
	return true
}

// leave ends the client's connection.
func (c *call) leave() {
	c.x.RequestBroken(&codec.Error{Side: codec.Client, Kind: codec.KindClosed, Cause: io.ErrUnexpectedEOF})
	c.bed.run()
}

// drain has the client take all that is queued for it.
func (c *call) drain() {
	c.queued = 0
	if c.x != nil {
		c.x.ClientDrained()
	}
	c.bed.run()
}

// field is the response's values of a name in any case, joined by " | ".
func (c *call) field(name string) string {
	var all []string
	for _, f := range c.fields {
		if codec.EqualFold(f.Name, name) {
			all = append(all, string(f.Value))
		}
	}
	return strings.Join(all, " | ")
}

// Head is the codec.Stream's, as those below.
func (c *call) Head(h *codec.Head, end bool) {
	if h.Status < 200 {
		return
	}
	c.status, c.fields, c.complete = h.Status, codec.CloneFields(h.Fields), end
}

func (c *call) Data(p []byte, end bool) { c.body, c.complete = c.body+string(p), end }

func (c *call) Trailers(t []codec.Field) { c.trailers, c.complete = codec.CloneFields(t), true }

func (c *call) Reset(e *codec.Error) { c.reset = e }

func (c *call) Hold(on bool) {
	if c.holds--; on {
		c.holds += 2
	}
}

func (c *call) Queued() int { return c.queued }

// Finished is the exchange.Client's.
func (c *call) Finished() { c.x, c.over = nil, true }

// bedServer is a connection that the server accepted.
type bedServer struct {
	bed  *bed
	conn reactor.Conn
	in   []byte
	fate string // "end" or "reset" by the proxy
}

// OnData takes whole requests and answers them.
func (s *bedServer) OnData() {
	s.in = append(s.in, s.conn.In()...)
	s.conn.Consume(len(s.conn.In()))
	if s.conn.EOF() {
		s.fate = "end"
		s.conn.Close(false)
		return
	}
	for bytes.Contains(s.in, []byte("\r\n\r\n")) {
		rest := bytes.NewReader(s.in)
		r := bufio.NewReaderSize(rest, 16)
		request, err := http.ReadRequest(r)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(request.Body)
		}
		if err != nil && strings.Contains(err.Error(), "EOF") { // that of a trailer section is an error of its own
			return
		}
		if err != nil {
			s.bed.t.Errorf("the server received %q: %v", s.in, err)
			return
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		n := len(s.in) - rest.Len() - r.Buffered()
		s.bed.requests = append(s.bed.requests, string(s.in[:n]))
		s.in = s.in[n:]
		if text := s.bed.answer(request); text != "" {
			s.conn.Write([]byte(text))
		}
	}
}

func (s *bedServer) OnDrained()     {}
func (s *bedServer) OnClosed(error) { s.fate = "reset" }

// says writes what it likes to the proxy; an answer that is "" leaves the word to the test.
func (s *bedServer) says(text string) {
	s.conn.Write([]byte(text))
	s.bed.run()
}

// closes ends the connection.
func (s *bedServer) closes() {
	s.conn.Close(false)
	s.bed.run()
}

// allocs is how many allocations a request through the filters costs: all of an exchange but the server, in whose place the
// last filter answers.
func allocs(t *testing.T, v codec.Version, method, target string, fields []string, filters ...exchange.Filter) float64 {
	t.Helper()
	loop := &quietLoop{Loop: sim.NewLoop(1)}
	rule, err := routing.Parse("PathPrefix(`/`)")
	if err != nil {
		t.Fatal(err)
	}
	route := &exchange.Route{Name: "main", Chain: exchange.NewChain(append(filters, last{})...)}
	env := &exchange.Env{Table: routing.NewTable([]routing.Entry[*exchange.Route]{{Name: "main", Rule: rule, Value: route}})}
	quiet := new(quietClient)
	local := exchange.NewLocal(loop, nil, quiet, 1)
	peer := exchange.NewPeer(netip.MustParseAddrPort("198.51.100.7:5000"), netip.MustParseAddrPort("192.0.2.100:443"), nil, nil)
	head := bedHead(t, v, method, target, 0, fields)
	n := testing.AllocsPerRun(200, func() {
		x := local.Begin(env, quiet, &peer)
		room := x.RequestHead.Fields
		x.RequestHead = head
		x.RequestHead.Fields = append(room[:0], head.Fields...)
		x.Request(true)
		for i := 0; i < len(loop.deferred); i++ { // more may follow
			loop.deferred[i]()
		}
		loop.deferred = loop.deferred[:0]
	})
	if quiet.answered != 201 || quiet.finished != 201 {
		t.Fatalf("%d of 201 requests were answered, %d finished", quiet.answered, quiet.finished)
	}
	return n
}

// last is a filter that answers in a server's place.
type last struct{}

var (
	lastFields = []codec.Field{codec.NewField(codec.FieldContentType, []byte("text/html"))}
	lastBody   = []byte("ok")
)

func (last) Request(x *exchange.Exchange) exchange.Verdict {
	x.Respond(200, lastFields, lastBody)
	return exchange.Answered
}

// quietClient is a client and observer that only counts.
type quietClient struct{ answered, finished int }

func (q *quietClient) Head(*codec.Head, bool)  { q.answered++ }
func (q *quietClient) Data([]byte, bool)       {}
func (q *quietClient) Trailers([]codec.Field)  {}
func (q *quietClient) Reset(*codec.Error)      {}
func (q *quietClient) Hold(bool)               {}
func (q *quietClient) Queued() int             { return 0 }
func (q *quietClient) Finished()               { q.finished++ }
func (q *quietClient) Done(*exchange.Exchange) {}

// quietLoop keeps its room for what is deferred; allocs runs that.
type quietLoop struct {
	*sim.Loop
	deferred []func()
}

func (l *quietLoop) Defer(f func()) { l.deferred = append(l.deferred, f) }

// bedLoop is a simulated loop that jobs beside it may post to (reactor.Go).
type bedLoop struct {
	*sim.Loop
	posted chan struct{} // something was

	mu    sync.Mutex
	posts []func()
}

func newBedLoop() *bedLoop { return &bedLoop{Loop: sim.NewLoop(1), posted: make(chan struct{}, 1)} }

// Post is the reactor.Loop's.
func (l *bedLoop) Post(f func()) bool {
	l.mu.Lock()
	l.posts = append(l.posts, f)
	l.mu.Unlock()
	select {
	case l.posted <- struct{}{}:
	default:
	}
	return true
}

// collect gives the simulation what was posted. It reports whether there was any.
func (l *bedLoop) collect() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.posts {
		l.Loop.Post(f)
	}
	n := len(l.posts)
	l.posts = nil
	return n > 0
}

// noMeter is the upstream.Meter of tests that do not look at it.
type noMeter struct{}

func (noMeter) Opened()           {}
func (noMeter) Reused()           {}
func (noMeter) Replayed()         {}
func (noMeter) Closed()           {}
func (noMeter) Failed(codec.Kind) {}
