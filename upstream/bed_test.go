package upstream

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/reactor"
	"traffic_management/internal/sim"
)

// bed is a service on one simulated loop, with the servers and the callers of it.
type bed struct {
	t         testing.TB
	loop      *watchedLoop
	pools     *Pools
	service   *Service
	targets   []*Target
	meter     *tally
	origins   []*origin   // connections the servers accepted, in order
	h2origins []*h2origin // likewise, of HTTP/2
	seen      map[*Attempt]bool
	queries   int
	orphans   bool // attempts that the test did not open may be among those that are free
}

// watchedLoop notes every timer that was armed, so that a test can ask whether any still is.
type watchedLoop struct {
	*sim.Loop
	timers map[*reactor.Timer]bool
}

func (l *watchedLoop) Arm(t *reactor.Timer, d time.Duration) {
	l.timers[t] = true
	l.Loop.Arm(t, d)
}

func (l *watchedLoop) armed() (n int) {
	for t := range l.timers {
		if t.Armed() {
			n++
		}
	}
	return n
}

// tally is a Meter.
type tally struct {
	opened, reused, replayed, closed int
	failed                           []string
}

func (m *tally) Opened()             { m.opened++ }
func (m *tally) Reused()             { m.reused++ }
func (m *tally) Replayed()           { m.replayed++ }
func (m *tally) Closed()             { m.closed++ }
func (m *tally) Failed(k codec.Kind) { m.failed = append(m.failed, k.String()) }

// bedOptions are unlike each other, so that a test sees which of them ran out.
func bedOptions() Options {
	return Options{
		ConnectTimeout: 3 * time.Second,
		RequestTimeout: 20 * time.Second,
		ResponseIdle:   10 * time.Second,
		QueueTimeout:   time.Second,
		IdleTimeout:    30 * time.Second,
		MaxIdle:        8,
		PassHost:       true,
		HeadLimits:     h1.Limits{HeadBytes: 1000, Fields: 20},
	}
}

func originAddr(i int) reactor.Addr {
	return reactor.Addr{TCP: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 80)}
}

// newBed makes a service of this many servers, all listening.
func newBed(t testing.TB, servers int, change func(*Options)) *bed {
	o := bedOptions()
	if change != nil {
		change(&o)
	}
	b := &bed{t: t, loop: &watchedLoop{sim.NewLoop(7), map[*reactor.Timer]bool{}}, meter: &tally{},
		service: NewService("s", &o, nil), seen: map[*Attempt]bool{}}
	b.loop.Net = sim.Net{Window: 64 << 10, Piece: 64 << 10}
	for i := range servers {
		b.targets = append(b.targets, NewTarget(fmt.Sprint(i), originAddr(i), fmt.Sprintf("origin%d", i), 1))
		b.listen(i)
	}
	b.service.SetTargets(b.targets)
	b.pools = NewPools(b.loop, NewGroup(1), 0, func(*Service) Meter { return b.meter })
	return b
}

// reseed lets another seed decide how the network behaves. Before anything is opened.
func (b *bed) reseed(seed uint64) {
	b.loop.Loop = sim.NewLoop(seed)
	for i := range b.targets {
		b.listen(i)
	}
}

func (b *bed) listen(i int) {
	b.loop.Listen(originAddr(i), func(c reactor.Conn) reactor.Sink {
		o := &origin{conn: c}
		b.origins = append(b.origins, o)
		return o
	})
}

// origin is a server's end of one connection.
type origin struct {
	conn   reactor.Conn
	got    string
	closed string // "end" or "reset" once the proxy closed it
	onData func()
}

func (o *origin) OnData() {
	o.got += string(o.conn.In())
	o.conn.Consume(len(o.conn.In()))
	if o.conn.EOF() {
		o.closed = "end"
		o.conn.Close(false)
		return
	}
	if o.onData != nil {
		o.onData()
	}
}
func (o *origin) OnDrained()     {}
func (o *origin) OnClosed(error) { o.closed = "reset" }

// take is what the server received since the last take.
func (o *origin) take() string {
	got := o.got
	o.got = ""
	return got
}

// caller is a Receiver that notes what it hears.
type caller struct {
	bed     *bed
	name    string
	attempt *Attempt
	stream  codec.Stream
	heard   []string
	request codec.Head
	shape   Shape
	timeout time.Duration // of each attempt
	content bool          // the request has content, sent by the test
	err     *codec.Error
	react   func(event string) // after each call, inside it
}

// open begins an attempt whose caller sends a bodiless GET of /name when it is ready.
func (b *bed) open(name string) *caller {
	return b.openWith(name, func(*caller) {})
}

func (b *bed) openWith(name string, prepare func(*caller)) *caller {
	c := &caller{bed: b, name: name}
	c.request.Reset()
	c.request.Version, c.request.Method = codec.HTTP11, codec.MethodGet
	c.request.Path, c.request.Authority = []byte("/"+name), []byte("h")
	prepare(c)
	c.again()
	return c
}

// again opens the next attempt of the caller's request.
func (c *caller) again(tried ...*Target) {
	b := c.bed
	before := len(c.heard)
	c.attempt = b.service.Open(b.pools, &Query{Tried: tried, Shape: c.shape, Timeout: c.timeout}, c)
	if len(c.heard) != before {
		b.t.Fatalf("%s heard %v inside Open", c.name, c.heard[before:])
	}
	b.seen[c.attempt] = true
}

// streaming makes the caller send content itself, framed so.
func streaming(f codec.Framing, length int64) func(*caller) {
	return func(c *caller) {
		c.content = true
		c.request.Method, c.request.Framing, c.request.Length = codec.MethodPost, f, length
	}
}

func (c *caller) note(event string) {
	if c.attempt == nil {
		c.bed.t.Fatalf("%s heard %q after Release", c.name, event)
	}
	if n := len(c.heard); n > 0 && strings.HasPrefix(event, "data ") && strings.HasPrefix(c.heard[n-1], "data ") {
		c.heard[n-1] += strings.TrimPrefix(event, "data ") // how content was cut into pieces is the network's affair
	} else {
		c.heard = append(c.heard, event)
	}
	if c.react != nil {
		c.react(event)
	}
}

func ending(end bool) string {
	if end {
		return " end"
	}
	return ""
}

func (c *caller) Ready(s codec.Stream) {
	c.stream = s
	s.Head(&c.request, !c.content)
	c.note("ready")
}
func (c *caller) Head(h *codec.Head, end bool) { c.note(fmt.Sprint("head ", h.Status, ending(end))) }
func (c *caller) Data(p []byte, end bool)      { c.note(fmt.Sprintf("data %s%s", p, ending(end))) }
func (c *caller) Trailers(t []codec.Field) {
	c.note(fmt.Sprintf("trailers %s=%s", t[0].Name, t[0].Value))
}
func (c *caller) Drained() { c.note("drained") }
func (c *caller) Failed(e *codec.Error) {
	c.err = e
	c.note("failed: " + e.Cause.Error())
}

func (c *caller) release() {
	a := c.attempt
	c.attempt = nil
	a.Release()
}

// hears runs the loop and checks what the caller heard since the last time.
func (c *caller) hears(want ...string) {
	c.bed.t.Helper()
	c.bed.loop.Run()
	if !slices.Equal(c.heard, want) {
		c.bed.t.Fatalf("%s heard\n\t%s\nwant\n\t%s", c.name, strings.Join(c.heard, "\n\t"), strings.Join(want, "\n\t"))
	}
	c.heard = nil
}

// counts checks the target's numbers.
func (b *bed) counts(target int, inFlight, idle, waiting, open int64) {
	b.t.Helper()
	b.loop.Run()
	x := b.targets[target]
	got := [4]int64{x.InFlight(), x.Idle(), x.Counts(0).Waiting.Load(), x.Open()}
	if want := [4]int64{inFlight, idle, waiting, open}; got != want {
		b.t.Fatalf("server %d: in flight, idle, waiting, open are %v, want %v", target, got, want)
	}
}

// served is how many connections the servers accepted.
func (b *bed) served(want int) {
	b.t.Helper()
	b.loop.Run()
	if len(b.origins) != want {
		b.t.Fatalf("the servers accepted %d connections, want %d", len(b.origins), want)
	}
}

// clean checks that nothing is left after everything was released and every time has passed.
func (b *bed) clean() {
	b.t.Helper()
	o := b.service.Options()
	b.loop.Advance(max(o.IdleTimeout, o.RequestTimeout, o.QueueTimeout) + time.Second)
	for i := range b.targets {
		b.counts(i, 0, 0, 0, 0)
	}
	if b.meter.opened != b.meter.closed {
		b.t.Errorf("%d connections opened, %d closed", b.meter.opened, b.meter.closed)
	}
	if n := b.loop.armed(); n != 0 {
		b.t.Errorf("%d timers are armed", n)
	}
	if n := b.loop.Open(); n != 0 {
		b.t.Errorf("%d connection ends are open", n)
	}
	free := map[*Attempt]bool{}
	for _, a := range b.pools.attempts {
		if a.state != AttemptFree || a.pending || a.released || a.conn != nil || a.receiver != nil {
			b.t.Errorf("a free attempt is not fresh: %+v", a)
		}
		if free[a] || !b.seen[a] && !b.orphans {
			b.t.Errorf("attempt %p was freed twice, or never opened", a)
		}
		free[a] = true
	}
	if len(free) != len(b.seen) && !b.orphans {
		b.t.Errorf("%d attempts were made, %d are free", len(b.seen), len(free))
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

// answered runs one whole request on connection number i.
func (b *bed) answered(name string, i int) {
	b.t.Helper()
	c := b.open(name)
	c.hears("ready")
	b.origins[i].conn.Write([]byte(ok))
	c.hears("head 200", "data hi end")
	c.release()
}
