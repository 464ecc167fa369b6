package upstream

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/engine/reactor"
	"traffic_management/internal/sim"
)

// loopView makes one simulated loop pass for one of several: it has an index of its own, and what is posted to it waits
// for a while drawn by the seed, in order.
type loopView struct {
	*watchedLoop
	index int
	rnd   *rand.Rand
	mail  []func()
}

func (v *loopView) Index() int { return v.index }

func (v *loopView) Post(f func()) bool {
	v.mail = append(v.mail, f)
	return v.watchedLoop.Post(v.step)
}

// step delivers what was posted first, or waits for another turn.
func (v *loopView) step() {
	if v.rnd.IntN(2) == 0 {
		v.watchedLoop.Post(v.step)
		return
	}
	f := v.mail[0]
	v.mail = v.mail[1:]
	f()
}

// newBeds makes one service used from several loops: a bed for each, which share servers and clock.
func newBeds(t testing.TB, seed uint64, loops int, change func(*Options)) []*bed {
	o := bedOptions()
	o.MaxIdle, o.QueueTimeout = 64, time.Hour
	change(&o)
	watched := &watchedLoop{sim.NewLoop(seed), map[*reactor.Timer]bool{}}
	service := NewService("s", &o, nil)
	target := NewTarget("0", originAddr(0), "origin0", loops)
	service.SetTargets([]*Target{target})
	group := NewGroup(loops)
	var beds []*bed
	for i := range loops {
		b := &bed{t: t, loop: watched, service: service, targets: []*Target{target}, meter: &tally{}, seen: map[*Attempt]bool{}}
		view := &loopView{watchedLoop: watched, index: i, rnd: rand.New(rand.NewPCG(seed, uint64(i)))}
		b.pools = NewPools(view, group, 0, func(*Service) Meter { return b.meter })
		beds = append(beds, b)
	}
	beds[0].listen(0)
	return beds
}

// idle makes n idle connections on a loop.
func (b *bed) makeIdle(n int, origins func() []*origin) {
	var callers []*caller
	for i := range n {
		callers = append(callers, b.open(fmt.Sprint(i)))
	}
	b.loop.Run()
	for _, o := range origins() {
		if o.take() != "" {
			o.conn.Write([]byte(ok))
		}
	}
	for _, c := range callers {
		c.hears("ready", "head 200", "data hi end")
		c.release()
	}
}

// A loop without a connection takes one of another loop only when there are more than twice as many idle as loops.
func TestIdleConnectionsOfAnotherLoop(t *testing.T) {
	for _, c := range []struct{ idle, dialled int }{{4, 5}, {5, 5}, {9, 9}} {
		beds := newBeds(t, 1, 2, func(*Options) {})
		a, b := beds[0], beds[1]
		a.makeIdle(c.idle, func() []*origin { return a.origins })
		x := b.open("x")
		x.hears("ready")
		a.served(c.dialled)
		if handed := 5 - b.meter.opened*5; b.meter.reused*5 != handed {
			t.Errorf("%d idle: loop B dialled %d, took over %d", c.idle, b.meter.opened, b.meter.reused)
		}
		i := slices.IndexFunc(a.origins, func(o *origin) bool { return strings.HasPrefix(o.got, "GET /x ") })
		a.origins[i].conn.Write([]byte(ok))
		x.hears("head 200", "data hi end")
		x.release()
		if got := b.targets[0].Counts(1).Idle.Load(); got != 1 {
			t.Errorf("loop B has %d idle connections", got)
		}
		b.answeredBySome(a, "again")
		a.served(c.dialled)
		cleanAll(beds)
	}
}

// answeredBySome runs one request on whichever connection gets it.
func (b *bed) answeredBySome(servers *bed, name string) {
	b.t.Helper()
	c := b.open(name)
	c.hears("ready")
	for _, o := range servers.origins {
		if strings.Contains(o.take(), "GET /"+name+" ") {
			o.conn.Write([]byte(ok))
		}
	}
	c.hears("head 200", "data hi end")
	c.release()
}

// cleanAll checks that no loop has anything left. Opened and Closed of one connection may be counted by two loops.
func cleanAll(beds []*bed) {
	beds[0].loop.Advance(2 * time.Hour)
	for _, b := range beds[1:] {
		beds[0].meter.opened += b.meter.opened
		beds[0].meter.closed += b.meter.closed
		b.meter.opened, b.meter.closed = 0, 0
	}
	for _, b := range beds {
		b.clean()
		if n := b.targets[0].Counts(b.pools.loop.Index()).Waiting.Load(); n != 0 {
			b.t.Errorf("%d requests wait", n)
		}
	}
}

// Requests that wait on one loop get the connections, or their places, that another loop frees.
func TestWaitingOnAnotherLoop(t *testing.T) {
	for _, reply := range []string{ok, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"} {
		beds := newBeds(t, 2, 2, func(o *Options) { o.MaxConnections = 1 })
		a, b := beds[0], beds[1]
		first := a.open("first")
		first.hears("ready")
		second := b.open("second")
		second.hears()
		a.origins[0].take()
		a.origins[0].conn.Write([]byte(reply))
		a.loop.Run()
		first.release()
		second.hears("ready")
		second.release()
		cleanAll(beds)
	}
}

// Random requests of three loops for few connections: once all is quiet, nobody waits while there is room or an idle
// connection anywhere.
func TestNoWakeUpIsLost(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		limit := 1 + rnd.IntN(4)
		beds := newBeds(t, seed, 3, func(o *Options) { o.MaxConnections, o.RequestTimeout = limit, time.Hour })
		servers, target := beds[0], beds[0].targets[0]
		if seed%2 == 1 { // connections cannot be handed over, their places can
			target.Protocol = ProtocolTLS
			target.learn(spokenH1)
			servers.loop.Handshake = func(*tls.Config) (tls.ConnectionState, error) {
				return tls.ConnectionState{NegotiatedProtocol: alpnH1}, nil
			}
		}
		var callers []*caller
		for range 150 {
			switch rnd.IntN(8) {
			case 0, 1, 2:
				callers = append(callers, beds[rnd.IntN(3)].open("x"))
			case 3, 4:
				if len(servers.origins) > 0 {
					if o := servers.origins[rnd.IntN(len(servers.origins))]; o.closed == "" && o.take() != "" {
						o.conn.Write([]byte(ok))
					}
				}
			case 5:
				if len(servers.origins) > 0 {
					servers.origins[rnd.IntN(len(servers.origins))].conn.Abort()
				}
			case 6:
				if len(callers) > 0 {
					i := rnd.IntN(len(callers))
					callers[i].release()
					callers = slices.Delete(callers, i, i+1)
				}
			case 7:
				servers.loop.Advance(time.Duration(rnd.IntN(200)) * time.Microsecond)
			}
			if rnd.IntN(4) > 0 {
				continue
			}
			servers.loop.Run()
			waiting := int64(0)
			for i := range beds {
				waiting += target.Counts(i).Waiting.Load()
			}
			if waiting > 0 && (target.Open() < int64(limit) || target.Idle() > 0) || target.Open() > int64(limit) {
				t.Fatalf("seed %d: %d wait, of %d connections %d are open, %d of them idle", seed, waiting, limit,
					target.Open(), target.Idle())
			}
		}
		for _, c := range callers {
			c.release()
		}
		cleanAll(beds)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// A loop whose requests wait does not keep what it frees for itself, even when only the place can go to another loop.
func TestPlacesTakeTurns(t *testing.T) {
	for _, p := range []Protocol{ProtocolH1, ProtocolTLS} {
		beds := newBeds(t, 2, 2, func(o *Options) { o.MaxConnections = 1 })
		a, b := beds[0], beds[1]
		a.targets[0].Protocol = p
		a.targets[0].learn(spokenH1)
		a.loop.Handshake = func(*tls.Config) (tls.ConnectionState, error) {
			return tls.ConnectionState{NegotiatedProtocol: alpnH1}, nil
		}
		var here []*caller
		for range ownTurns + 3 {
			here = append(here, a.open("here"))
		}
		there := b.open("there")
		served := 0
		for ; there.stream == nil && served < len(here); served++ {
			a.loop.Run()
			o := a.origins[len(a.origins)-1]
			o.conn.Write([]byte(ok))
			a.loop.Run()
		}
		if served != ownTurns+1 || here[len(here)-1].stream != nil {
			t.Errorf("%v: %d requests of one loop were served before the other's", p, served)
		}
		for _, c := range append(here, there) {
			c.release()
		}
		cleanAll(beds)
	}
}
