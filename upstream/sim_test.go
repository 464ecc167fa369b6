package upstream

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/codec/h2"
	"traffic_management/engine/reactor"
	"traffic_management/internal/sim"
)

// world is a service on several loops whose servers fail, stall and recover while its settings change.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	loop    *watchedLoop
	beds    []*bed
	service *Service
	all     []*Target // that there ever were; the server of each listens at originAddr of its position
	moods   []mood    // of the servers
	breaker *ServiceBreaker
	opened  []*caller
	events  map[string]int
	fault   string
}

// mood is what a server does with a request.
type mood uint8

const (
	moodWell   mood = iota // answers
	moodFails              // answers with 500
	moodResets             // resets the connection
	moodStalls             // says nothing
	moodAway               // takes no connection
	moods
)

func newWorld(t *testing.T, seed uint64) *world {
	rnd := rand.New(rand.NewPCG(seed, 0x776f726c64))
	w := &world{t: t, rnd: rnd, events: map[string]int{},
		loop: &watchedLoop{sim.NewLoop(seed), map[*reactor.Timer]bool{}}}
	p := BreakerPolicy{Name: "b", FailureThreshold: 1 + rnd.IntN(4), Recovery: 2 * time.Second,
		HalfOpenRequests: 1 + rnd.IntN(3), Window: time.Second, MinRequests: 5, FailureRatio: rnd.Float64() * 0.5}
	p.Failures.Add(500, 599)
	w.service = NewService("s", w.options(), w.event)
	w.breaker = w.service.Breaker(p)
	w.loop.Handshake = w.shake
	loops := 1 + rnd.IntN(3)
	group := NewGroup(loops)
	for i := range loops {
		b := &bed{t: t, loop: w.loop, service: w.service, meter: &tally{}, seen: map[*Attempt]bool{}}
		view := &loopView{watchedLoop: w.loop, index: i, rnd: rand.New(rand.NewPCG(seed, uint64(i)))}
		b.pools = NewPools(view, group, seed, func(*Service) Meter { return b.meter })
		w.beds = append(w.beds, b)
	}
	for range 2 + rnd.IntN(5) {
		w.add()
	}
	w.service.SetTargets(slices.Clone(w.all))
	return w
}

func (w *world) options() *Options {
	o := bedOptions()
	o.Strategy = Strategy(w.rnd.IntN(int(strategies)))
	o.RequestTimeout, o.QueueTimeout, o.ConnectTimeout = 2*time.Second, 500*time.Millisecond, time.Second
	o.MaxConnections = []int{0, 0, 1, 3}[w.rnd.IntN(4)]
	o.PanicThreshold = []int{0, 10, 50}[w.rnd.IntN(3)]
	o.SlowStart = []time.Duration{0, 5 * time.Second}[w.rnd.IntN(2)]
	o.Sticky = &Sticky{Name: "srv", Key: []byte("k")}
	if w.rnd.IntN(3) > 0 {
		o.Outlier = &OutlierPolicy{ConsecutiveErrors: 1 + w.rnd.IntN(4), BaseEjection: 3 * time.Second, MaxEjectedPercent: 50}
	}
	return &o
}

func (w *world) fail(format string, args ...any) {
	if w.fault == "" {
		w.fault = fmt.Sprintf(format, args...)
	}
}

// event checks that no more targets are ejected than may be.
func (w *world) event(e Event) {
	w.events[e.What.String()+" "+e.To]++
	if e.What != EventEjected {
		return
	}
	targets, out := w.service.Targets(), 0
	for _, t := range targets {
		if t.has(isEjected) {
			out++
		}
	}
	if most := max(len(targets)/2, min(len(targets)-1, 1)); out > most && e.Target.among(targets) {
		w.fail("%d of %d targets are ejected", out, len(targets))
	}
}

// add makes another target and the server behind it.
func (w *world) add() {
	i := len(w.all)
	t := NewTarget(fmt.Sprintf("http://server-%d", i), originAddr(i), "h", len(w.beds))
	t.Protocol = Protocol(w.rnd.IntN(int(ProtocolTLS) + 1))
	w.all = append(w.all, t)
	w.moods = append(w.moods, moodWell)
	w.listen(i)
}

func (w *world) listen(i int) {
	w.loop.Listen(originAddr(i), func(c reactor.Conn) reactor.Sink { return &stranger{w, i, c} })
}

// shake is the outcome of a TLS handshake: sometimes none, and mostly the version that the proxy likes better.
func (w *world) shake(c *tls.Config) (s tls.ConnectionState, err error) {
	switch w.rnd.IntN(20) {
	case 0:
		return s, errText("the handshake fails")
	case 1, 2, 3:
		s.NegotiatedProtocol = c.NextProtos[len(c.NextProtos)-1]
	default:
		s.NegotiatedProtocol = c.NextProtos[0]
	}
	return s, nil
}

// stranger is a server's end of a connection of which it does not know yet what it speaks.
type stranger struct {
	world *world
	i     int
	conn  reactor.Conn
}

func (s *stranger) OnDrained()     {}
func (s *stranger) OnClosed(error) {}
func (s *stranger) OnData() {
	w, in := s.world, s.conn.In()
	if len(in) < 3 && !s.conn.EOF() {
		return
	}
	var sink reactor.Sink
	if strings.HasPrefix(string(in), "PRI") {
		c := h2Config()
		c.ExtendedConnect = w.rnd.IntN(2) == 0
		o := &h2origin{bed: w.beds[0], conn: s.conn, onHead: func(r *h2request) { w.reply(s.i, r) }}
		o.session = h2.NewServer(&c, s.conn, o, time.Duration(w.loop.Now()))
		w.beds[0].h2origins = append(w.beds[0].h2origins, o)
		sink = o
	} else {
		sink = w.speakH1(s.i, s.conn)
	}
	s.conn.SetSink(sink)
	sink.OnData()
}

func (w *world) speakH1(i int, c reactor.Conn) *origin {
	o := &origin{conn: c}
	o.onData = func() {
		if !strings.Contains(o.take(), "\r\n\r\n") {
			return
		}
		switch w.moods[i] {
		case moodWell:
			c.Write([]byte(ok))
		case moodFails:
			c.Write([]byte("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
		case moodResets:
			c.Abort()
		}
	}
	return o
}

// reply is what a server of HTTP/2 does with a request, by its mood.
func (w *world) reply(i int, r *h2request) {
	switch w.moods[i] {
	case moodWell:
		r.answer("hi")
	case moodFails:
		r.respond(500, true)
	case moodResets:
		if w.rnd.IntN(3) > 0 {
			r.release()
		} else {
			r.origin.conn.Abort()
			r.origin.ends("reset")
		}
	}
}

// away has a server of HTTP/2 go away, in one step or two.
func (w *world) away() {
	all := w.beds[0].h2origins
	if len(all) == 0 {
		return
	}
	o := all[w.rnd.IntN(len(all))]
	switch {
	case o.closed != "":
	case w.rnd.IntN(2) == 0:
		o.session.Shutdown()
	default:
		o.session.Finish()
	}
}

// step does one thing that may happen at any time.
func (w *world) step() {
	i := w.rnd.IntN(len(w.all))
	t := w.all[i]
	switch n := w.rnd.IntN(42); {
	case n < 24:
		w.open(w.beds[w.rnd.IntN(len(w.beds))])
	case n < 27 && len(w.opened) > 0:
		k := w.rnd.IntN(len(w.opened))
		w.release(w.opened[k])
	case n < 31:
		w.moods[i] = []mood{moodWell, mood(w.rnd.IntN(int(moods)))}[w.rnd.IntN(2)]
		if w.moods[i] == moodAway {
			w.loop.Unlisten(originAddr(i))
		} else {
			w.listen(i)
		}
	case n == 31:
		t.SetHealth(w.rnd.IntN(2) == 0, w.loop.Now(), "the world")
	case n == 32:
		t.SetDraining(w.rnd.IntN(3) == 0)
	case n == 33:
		t.SetWeight(w.rnd.IntN(4))
	case n == 34:
		t.SetBackup(w.rnd.IntN(3) == 0)
	case n == 35:
		w.service.SetOptions(w.options())
	case n == 36:
		if w.rnd.IntN(3) == 0 {
			w.add()
		}
		set := slices.Clone(w.all)
		w.rnd.Shuffle(len(set), func(i, j int) { set[i], set[j] = set[j], set[i] })
		w.service.SetTargets(set[:1+w.rnd.IntN(len(set))])
	case n == 37:
		w.away()
	default:
		w.loop.Advance(time.Duration(w.rnd.ExpFloat64() * float64(300*time.Millisecond)))
	}
}

// open begins an attempt and checks that its server may have it.
func (w *world) open(b *bed) {
	q := &Query{Key: w.rnd.Uint64(), Shape: []Shape{ShapeAny, ShapeAny, ShapeAny, ShapeUpgrade}[w.rnd.IntN(4)]}
	if w.rnd.IntN(2) == 0 {
		q.Breaker = w.breaker
	}
	if w.rnd.IntN(4) == 0 {
		q.Stick = w.all[w.rnd.IntN(len(w.all))]
	}
	for range w.rnd.IntN(3) {
		q.Tried = append(q.Tried, w.all[w.rnd.IntN(len(w.all))])
	}
	q.Lost = len(q.Tried) > 0 && w.rnd.IntN(2) == 0
	if w.rnd.IntN(4) == 0 {
		q.Timeout = time.Duration(1+w.rnd.IntN(1000)) * time.Millisecond
	}
	may, others := w.mayHave(q)
	c := b.query(q)
	if q.Shape == ShapeUpgrade {
		tunnelling(c)
	}
	w.opened = append(w.opened, c)
	t := c.attempt.Target()
	switch {
	case t == nil && len(may) > 0:
		w.fail("no server for a request that %d may have, %d of them not tried", len(may), len(others))
	case t != nil && !t.among(may):
		w.fail("%s got a request that it may not have: %+v", t.ID, t.Status(w.loop.Now()))
	case t != nil && t.among(q.Tried) && len(others) > 0:
		w.fail("%s was tried and got the request, %d others were not", t.ID, len(others))
	}
	c.react = func(event string) {
		if strings.HasSuffix(event, " end") || strings.HasPrefix(event, "failed") {
			w.release(c)
		}
	}
}

// mayHave is, from what is known of each target and by the rules as documented, which may be given a request, and which
// of them were not tried.
func (w *world) mayHave(q *Query) (may, untried []*Target) {
	now := w.loop.Now()
	var healthy, primaries, spare, unbroken int
	state := map[*Target]Status{}
	for _, t := range w.service.Targets() {
		st := t.Status(now)
		state[t] = st
		switch {
		case st.State == TargetDraining:
		case !t.Backup():
			primaries++
			if st.State == TargetUp {
				healthy++
			}
		case st.State == TargetUp:
			spare++
		}
	}
	threshold := w.service.Options().PanicThreshold
	panicking := 100*healthy < threshold*primaries || healthy == 0 && threshold > 0
	panicking = panicking && spare == 0
	var backups []*Target
	for _, t := range w.service.Targets() {
		st := state[t]
		up, sticks := st.State == TargetUp, t == q.Stick && !t.among(q.Tried)
		takes := up && (!t.Backup() || 100*healthy < threshold*primaries || healthy == 0)
		if panicking && st.State != TargetDraining {
			takes = !t.Backup() || primaries == 0
		}
		if st.State == TargetDraining && sticks {
			takes = st.Healthy && st.EjectedFor == 0
		}
		if sticks && up {
			takes = true
		}
		if !w.passes(q, t, now) {
			continue
		}
		if takes {
			unbroken++
			may = append(may, t)
		} else if up && t.Backup() {
			backups = append(backups, t)
		}
	}
	for _, t := range may {
		if !t.among(q.Tried) {
			untried = append(untried, t)
		}
	}
	if len(untried) == 0 { // backups come before what was tried
		for _, t := range backups {
			may = append(may, t)
			if !t.among(q.Tried) {
				untried = append(untried, t)
			}
		}
	}
	if len(untried) == 0 && q.Lost { // and so do those that are out
		for _, t := range w.service.Targets() {
			if state[t].State != TargetDraining && !t.among(q.Tried) && w.passes(q, t, now) {
				may = append(may, t)
				untried = append(untried, t)
			}
		}
	}
	return may, untried
}

// passes reports whether a target's breaker lets a request through.
func (w *world) passes(q *Query, t *Target, now reactor.Instant) bool {
	if q.Breaker == nil {
		return true
	}
	for _, st := range t.Status(now).Breakers {
		if st.State == BreakerOpen && st.OpenFor > 0 {
			return false
		}
	}
	return q.Breaker.server(t).takes(now)
}

func (w *world) release(c *caller) {
	w.opened = slices.DeleteFunc(w.opened, func(other *caller) bool { return other == c })
	c.release()
}

// finish lets everything end and checks that nothing is left.
func (w *world) finish() {
	for i := range w.moods {
		w.moods[i] = moodWell
	}
	w.loop.Advance(time.Minute)
	if n := len(w.opened); n > 0 {
		w.fail("%d requests have no outcome", n)
		return
	}
	for _, b := range w.beds {
		b.pools.Close()
		b.pools.local(w.service) // lets go of servers that left
	}
	w.loop.Advance(time.Minute)
	for _, t := range w.all {
		for i := range w.beds {
			if n := t.Counts(i).InFlight.Load(); n != 0 {
				w.fail("%s has %d in flight on loop %d", t.ID, n, i)
			}
		}
		if t.Open() != 0 || t.Idle() != 0 {
			w.fail("%s: %d open, %d idle", t.ID, t.Open(), t.Idle())
		}
		b := w.breaker.server(t)
		if int(b.admitted.Load()) != b.succeeded && stateOf(b.word.Load()) == BreakerHalfOpen {
			w.fail("%s: a breaker waits for %d probes that have ended", t.ID, int(b.admitted.Load())-b.succeeded)
		}
	}
	if n := w.loop.Open(); n != 0 {
		w.fail("%d connection ends are open", n)
	}
}

// Random requests, failures and changes: each request goes to a server that may have it and has an outcome, and
// everything that is counted comes to 0 in the end.
func TestWorlds(t *testing.T) {
	total := map[string]int{}
	for seed := range uint64(seeds) {
		w := newWorld(t, seed)
		for n := 0; n < 1000 && w.fault == ""; n++ {
			w.step()
			for _, x := range w.all {
				for i := range w.beds {
					if x.Counts(i).InFlight.Load() < 0 {
						w.fail("%s has fewer than no requests in flight", x.ID)
					}
				}
			}
		}
		if w.fault == "" {
			w.finish()
		}
		if w.fault != "" {
			t.Fatalf("seed %d: %s", seed, w.fault)
		}
		for what, n := range w.events {
			total[what] += n
		}
	}
	t.Logf("%v", total)
	for _, what := range []string{"ejected out", "returned in", "breaker open", "breaker half-open", "breaker closed",
		"health down"} {
		if total[what] == 0 {
			t.Errorf("%s: %d times in all worlds", what, total[what])
		}
	}
}
