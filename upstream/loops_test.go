package upstream

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// patience bounds waiting for what must happen; a test that reaches it fails.
const patience = 30 * time.Second

// httpServer answers every request on loopback. One in closeEvery answers ends its connection, one in vanishEvery is
// followed by a close that nobody announced.
func httpServer(t *testing.T, seed uint64, closeEvery, vanishEvery int) reactor.Addr {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for n := uint64(0); ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				rnd := rand.New(rand.NewPCG(seed, n))
				for r := bufio.NewReader(c); readRequest(r) == nil; {
					reply := ok
					last := rnd.IntN(closeEvery) == 0
					if last {
						reply = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
					}
					if _, err := io.WriteString(c, reply); err != nil || last || rnd.IntN(vanishEvery) == 0 {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return reactor.Addr{TCP: netip.MustParseAddrPort(l.Addr().String())}
}

// readRequest reads as far as the empty line that ends a bodiless request.
func readRequest(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return err
		}
	}
}

// customer sends one request after another from one loop, each on whatever connection it gets. A Receiver.
type customer struct {
	loop    *loopRoom
	left    int
	request codec.Head
	attempt *Attempt
	next    func()
	failed  map[string]int
}

// loopRoom is a real loop with its pools.
type loopRoom struct {
	*reactor.EventLoop
	pools   *Pools
	service *Service
	meter   tally
	done    *sync.WaitGroup // of all customers
}

func (c *customer) open() {
	c.request.Reset()
	c.request.Version, c.request.Method = codec.HTTP11, codec.MethodGet
	c.request.Path, c.request.Authority = []byte("/"), []byte("h")
	c.attempt = c.loop.service.Open(c.loop.pools, &Query{}, c)
}

func (c *customer) ended() {
	c.attempt.Release()
	if c.left--; c.left == 0 {
		c.loop.done.Done()
		return
	}
	c.loop.Defer(c.next)
}

func (c *customer) Ready(s codec.Stream)       { s.Head(&c.request, true) }
func (c *customer) Head(_ *codec.Head, _ bool) {}
func (c *customer) Data(_ []byte, end bool) {
	if end {
		c.ended()
	}
}
func (c *customer) Trailers([]codec.Field) {}
func (c *customer) Drained()               {}
func (c *customer) Failed(e *codec.Error) {
	c.failed[e.Cause.Error()]++
	c.ended()
}

// newRooms makes loops that share the connections of a service of one server.
func newRooms(t *testing.T, loops int, service *Service, d *reactor.Descriptors) (rooms []*loopRoom) {
	group, done := NewGroup(loops), new(sync.WaitGroup)
	for i := range loops {
		l, err := reactor.New(reactor.Config{Index: i, Descriptors: d})
		if err != nil {
			t.Fatal(err)
		}
		r := &loopRoom{EventLoop: l, service: service, done: done}
		r.pools = NewPools(l, group, 1, func(*Service) Meter { return &r.meter })
		rooms = append(rooms, r)
	}
	return rooms
}

// serveAll runs the loops until every customer was served, then closes all connections and stops the loops. When a
// customer is never served it returns false.
func serveAll(t *testing.T, rooms []*loopRoom, customers []*customer) bool {
	done := rooms[0].done
	done.Add(len(customers))
	for _, c := range customers {
		c.loop.Post(c.open)
	}
	var running sync.WaitGroup
	for _, r := range rooms {
		running.Go(func() {
			if err := r.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	finished := make(chan struct{})
	go func() { done.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(patience):
		return false
	}
	for _, r := range rooms {
		r.Post(r.pools.Close)
	}
	for i, r := range rooms { // a socket may be on its way from any loop to any other
		for range rooms {
			closed, next := make(chan struct{}), rooms[(i+1)%len(rooms)]
			r.Post(func() { next.Post(func() { close(closed) }) })
			<-closed
		}
	}
	for _, r := range rooms {
		r.Shutdown()
	}
	running.Wait()
	return true
}

// Customers of three loops share few connections to a server that closes them now and then. All are served: a wake-up
// that is lost leaves one waiting for ever. At the end not one descriptor is open.
func TestLoopsShareConnections(t *testing.T) {
	const loops, perLoop, requests = 3, 4, 400
	for _, limit := range []int{1, 2, 5, 0} {
		seed := rand.Uint64()
		t.Logf("limit %d, seed %d", limit, seed)
		o := bedOptions()
		o.MaxConnections, o.MaxIdle, o.QueueTimeout = limit, 64, time.Hour
		service := NewService("s", &o, nil)
		target := NewTarget("0", httpServer(t, seed, 40, 40), "h", loops)
		service.SetTargets([]*Target{target})
		descriptors := reactor.NewDescriptors(1000, 0)
		rooms := newRooms(t, loops, service, descriptors)
		var customers []*customer
		for _, r := range rooms {
			for i := range perLoop {
				c := &customer{loop: r, left: requests >> i, failed: map[string]int{}} // ever fewer, so that loops fall idle
				c.next = c.open
				customers = append(customers, c)
			}
		}
		if !serveAll(t, rooms, customers) {
			t.Fatalf("a request was never served: in flight %d, idle %d, open %d", target.InFlight(), target.Idle(), target.Open())
		}
		for _, c := range customers {
			for what := range c.failed { // the server's end may cross a request
				if what != errIdleRace.Cause.Error() && what != errClosed.Cause.Error() {
					t.Error(what)
				}
			}
		}
		if target.Open() != 0 || target.Idle() != 0 || target.InFlight() != 0 || descriptors.InUse() != 0 {
			t.Errorf("open %d, idle %d, in flight %d, descriptors %d", target.Open(), target.Idle(), target.InFlight(),
				descriptors.InUse())
		}
		opened, closed, reused := 0, 0, 0
		for _, r := range rooms {
			opened, closed, reused = opened+r.meter.opened, closed+r.meter.closed, reused+r.meter.reused
		}
		if opened != closed || opened == 0 || reused < opened {
			t.Errorf("%d connections opened, %d closed, %d reused", opened, closed, reused)
		}
	}
}
