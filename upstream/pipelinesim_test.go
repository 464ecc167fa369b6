package upstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// pipeWorld is many clients, some of whom leave or are slow, of a server that answers at any speed, with any framing,
// and ends its connections where it likes. Every response names its request.
type pipeWorld struct {
	*bed
	rnd     *rand.Rand
	rough   bool // the server ends connections
	clients []*pipeClient
	fault   string
	told    map[string]int
}

func newPipeWorld(t *testing.T, seed uint64) *pipeWorld {
	rnd := rand.New(rand.NewPCG(seed, 0x70697065))
	w := &pipeWorld{rnd: rnd, rough: seed%2 == 0, told: map[string]int{}}
	w.bed = pipelineBed(t, 2+rnd.IntN(12), func(o *Options) {
		o.MaxConnections = []int{0, 0, 0, 1, 3}[rnd.IntN(5)]
		o.QueueTimeout = time.Minute
	})
	w.orphans = true
	w.bed.reseed(seed)
	w.loop.Net.Window, w.loop.Net.Piece = max(w.loop.Net.Window, 32<<10), max(w.loop.Net.Piece, 2<<10)
	if w.rough && rnd.IntN(2) == 0 {
		w.loop.Net.Reset = 200
	}
	w.loop.Listen(originAddr(0), func(c reactor.Conn) reactor.Sink {
		s := &pipeServer{world: w, conn: c, rough: w.rough && rnd.IntN(3) > 0}
		s.timer.Fire = s.answer
		return s
	})
	return w
}

func (w *pipeWorld) fail(format string, args ...any) {
	if w.fault == "" {
		w.fault = fmt.Sprintf(format, args...)
	}
}

// pipeServer answers the requests of one connection in order.
type pipeServer struct {
	world  *pipeWorld
	conn   reactor.Conn
	timer  reactor.Timer
	got    string
	asked  []string
	rough  bool
	closed bool
}

func (s *pipeServer) OnData() {
	s.got += string(s.conn.In())
	s.conn.Consume(len(s.conn.In()))
	for {
		head, rest, whole := strings.Cut(s.got, "\r\n\r\n")
		if !whole {
			break
		}
		s.got = rest
		path, _, _ := strings.Cut(strings.TrimPrefix(head, "GET /"), " ")
		s.asked = append(s.asked, path)
		s.world.told["asked"]++
	}
	if s.conn.EOF() {
		s.closed = true
		s.conn.Close(false)
		return
	}
	s.next()
}
func (s *pipeServer) OnDrained()     {}
func (s *pipeServer) OnClosed(error) { s.closed = true }

// next has the next response be sent some time from now.
func (s *pipeServer) next() {
	if s.closed || len(s.asked) == 0 || s.timer.Armed() {
		return
	}
	w := s.world
	switch w.rnd.IntN(20) {
	case 0:
		w.loop.Arm(&s.timer, time.Duration(w.rnd.IntN(int(200*time.Millisecond))))
	case 1:
		w.loop.Arm(&s.timer, time.Duration(w.rnd.IntN(int(2*time.Millisecond))))
	default:
		s.answer()
	}
}

// answer sends one response, whole or not.
func (s *pipeServer) answer() {
	w := s.world
	if s.closed || len(s.asked) == 0 {
		return
	}
	name := s.asked[0]
	s.asked = s.asked[1:]
	size := []int{0, 10, 100, 2000}[w.rnd.IntN(4)]
	if w.rnd.IntN(100) == 0 {
		size = []int{maxOrphaned, maxOrphaned, 2 * maxOrphaned, bulk}[w.rnd.IntN(4)]
	}
	content := strings.Repeat(name+";", size/len(name)+1)
	var b strings.Builder
	if w.rnd.IntN(10) == 0 {
		b.WriteString("HTTP/1.1 103 Early Hints\r\n\r\n")
	}
	closes := s.rough && w.rnd.IntN(30) == 0
	b.WriteString("HTTP/1.1 200 OK\r\n")
	if closes && w.rnd.IntN(2) == 0 {
		b.WriteString("Connection: close\r\n")
	}
	switch w.rnd.IntN(4) {
	case 0:
		half := len(content) / 2
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", half, content[:half],
			len(content)-half, content[half:])
	default:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(content), content)
	}
	out := b.String()
	switch {
	case s.rough && w.rnd.IntN(40) == 0: // ends anywhere
		s.conn.Write([]byte(out[:w.rnd.IntN(len(out))]))
		closes = true
	case s.rough && w.rnd.IntN(80) == 0:
		s.closed = true
		s.conn.Abort()
		return
	default:
		s.conn.Write([]byte(out))
	}
	if closes {
		s.closed = true
		s.conn.Close(false)
		return
	}
	s.next()
}

// pipeClient is a Receiver that checks what it hears.
type pipeClient struct {
	world   *pipeWorld
	name    string
	attempt *Attempt
	stream  codec.Stream
	shape   Shape
	started bool // a final head came
	got     int  // bytes of content
	holds   bool
	tries   int
	timer   reactor.Timer
}

func (w *pipeWorld) begin() {
	c := &pipeClient{world: w, name: fmt.Sprint("r", w.told["begun"]), shape: ShapeBare}
	w.told["begun"]++
	if w.rnd.IntN(6) == 0 {
		c.shape = ShapeAny
	}
	c.timer.Fire = func() { c.hold(false) }
	w.clients = append(w.clients, c)
	c.open()
}

func (c *pipeClient) open() {
	c.tries++
	c.attempt = c.world.service.Open(c.world.pools, &Query{Shape: c.shape}, c)
}

// over ends the client, with its attempt if it has one.
func (c *pipeClient) over(how string) {
	w := c.world
	w.told[how]++
	w.loop.Stop(&c.timer)
	for i, other := range w.clients {
		if other == c {
			w.clients = append(w.clients[:i], w.clients[i+1:]...)
			break
		}
	}
	a := c.attempt
	c.attempt, c.stream = nil, nil
	a.Release()
}

func (c *pipeClient) hold(on bool) {
	if c.stream != nil && c.holds != on {
		c.holds = on
		c.stream.Hold(on)
	}
}

func (c *pipeClient) Ready(s codec.Stream) {
	var h codec.Head
	h.Reset()
	h.Version, h.Method, h.Path, h.Authority = codec.HTTP11, codec.MethodGet, []byte("/"+c.name), []byte("h")
	if c.started {
		c.world.fail("%s is asked for its request behind the head of a response", c.name)
	}
	c.stream = s
	s.Head(&h, true)
}

func (c *pipeClient) Head(h *codec.Head, end bool) {
	if h.Status == 200 {
		c.started = true
	}
	if end {
		c.world.fail("%s got no content", c.name)
		c.over("answered")
	}
}

func (c *pipeClient) Data(p []byte, end bool) {
	w := c.world
	for whole := c.name + ";"; len(p) > 0; c.got++ {
		if p[0] != whole[c.got%len(whole)] {
			w.fail("%s got %.60q behind %d bytes", c.name, p, c.got)
			break
		}
		p = p[1:]
	}
	switch {
	case end:
		c.over("answered")
	case w.rnd.IntN(100) == 0:
		c.over("left")
	case w.rnd.IntN(20) == 0 && !c.holds:
		c.hold(true)
		w.loop.Arm(&c.timer, time.Duration(w.rnd.IntN(int(100*time.Millisecond))))
	}
}

func (c *pipeClient) Trailers([]codec.Field) { c.world.fail("%s got trailers", c.name) }
func (c *pipeClient) Drained()               {}
func (c *pipeClient) Failed(e *codec.Error) {
	w := c.world
	switch {
	case !w.rough:
		w.fail("%s failed although the server ended nothing: %v", c.name, e)
	case c.started && e.Retry != codec.RetryNever:
		w.fail("%s may be repeated although some of the response came: %v", c.name, e)
	case e.Retry != codec.RetryNever && c.tries < 10:
		a := c.attempt
		c.stream, c.holds = nil, false
		a.Release()
		w.told["tried again"]++
		c.open()
		return
	case e.Retry != codec.RetryNever:
		w.fail("%s failed %d times: %v", c.name, c.tries, e)
	}
	c.over("failed")
}

// No request hears a byte of another's response, each has an outcome, none fails but by what the server did, and
// nothing is left in the end.
func TestPipelineWorlds(t *testing.T) {
	told := map[string]int{}
	for seed := range uint64(seeds) {
		w := newPipeWorld(t, seed)
		for range 30 {
			for range w.rnd.IntN(20) {
				w.begin()
			}
			if len(w.clients) > 0 && w.rnd.IntN(3) == 0 {
				w.clients[w.rnd.IntN(len(w.clients))].over("left")
			}
			w.loop.Advance(time.Duration(w.rnd.ExpFloat64() * float64(8*time.Millisecond)))
			if w.rnd.IntN(8) == 0 {
				w.loop.Advance(distrust) // else most worlds would soon be without pipelines
			}
		}
		w.loop.Advance(5 * time.Minute)
		if n := len(w.clients); n > 0 {
			w.fail("%d requests have no outcome, one is %s: %v", n, w.clients[0].name, w.clients[0].attempt.state)
		}
		w.told["replayed"] = w.meter.replayed
		if w.fault == "" {
			w.clean()
		}
		if w.fault != "" || t.Failed() {
			t.Fatalf("seed %d: %s; %v", seed, w.fault, w.told)
		}
		for what, n := range w.told {
			told[what] += n
		}
	}
	t.Logf("%v", told)
	for _, what := range []string{"answered", "left", "failed", "tried again", "replayed"} {
		if told[what] == 0 {
			t.Errorf("in all worlds nothing was %s", what)
		}
	}
}
