package reactor

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// capricious is an echoing sink that, at random, takes only a part, holds its connection for some turns, lets it be
// woken, or moves it to the other loop.
type capricious struct {
	loops []*EventLoop
	loop  *EventLoop
	conn  Conn
	busy  bool // a hold is to end, or a move to begin
	rnd   *rand.Rand
	lost  chan error
}

func (c *capricious) OnData() {
	in := c.conn.In()
	n := len(in)
	if c.rnd.IntN(4) == 0 {
		n = c.rnd.IntN(n + 1)
	}
	c.conn.Write(in[:n])
	c.conn.Consume(n)
	switch {
	case n < len(in):
		c.conn.Wake()
	case c.conn.EOF():
		c.conn.Close(c.rnd.IntN(2) == 0)
	case c.busy:
	case c.rnd.IntN(4) == 0:
		c.hold(c.rnd.IntN(3))
	case c.rnd.IntN(4) == 0:
		c.move()
	}
}

// hold pauses reading for so many turns.
func (c *capricious) hold(turns int) {
	c.busy = true
	c.conn.Hold(true)
	var release func()
	release = func() {
		if turns--; turns > 0 {
			c.loop.Post(release)
			return
		}
		c.busy = false
		c.conn.Hold(false)
	}
	c.loop.Post(release)
}

// move goes to the other loop at the end of the turn, when output has left, if that is possible then.
func (c *capricious) move() {
	c.busy = true
	c.loop.Post(func() {
		fd, ok := c.conn.Detach()
		if !ok {
			c.busy = false
			return
		}
		to := c.loops[1-c.loop.Index()]
		to.Post(func() {
			c.loop, c.conn, c.busy = to, to.Attach(fd, c), false
		})
	})
}

func (c *capricious) OnDrained()         {}
func (c *capricious) OnClosed(err error) { c.lost <- err }

func TestRandomLoad(t *testing.T) {
	const seed, clients = 20, 100
	loops := []*EventLoop{startLoop(t, Config{}), startLoop(t, Config{Index: 1})}
	lost := make(chan error, clients)
	var all sync.WaitGroup
	for i := range clients {
		outside, fd := tcpPair(t)
		c := &capricious{loops: loops, loop: loops[i%2], rnd: rand.New(rand.NewPCG(seed, uint64(i))), lost: lost}
		on(t, c.loop, func() { c.conn = c.loop.Attach(fd, c) })
		rnd := rand.New(rand.NewPCG(seed, uint64(clients+i)))
		sent := pattern(60_000 + 1000*i)
		all.Go(func() {
			for b := sent; len(b) > 0; {
				n := min(1+rnd.IntN([]int{100, 3000, 9000}[rnd.IntN(3)]), len(b))
				outside.Write(b[:n])
				b = b[n:]
			}
			outside.CloseWrite()
		})
		all.Go(func() {
			if got, err := io.ReadAll(outside); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("seed %d, connection %d: %d of %d bytes back, or others, %v", seed, i, len(got), len(sent), err)
			}
			outside.Close()
		})
	}
	all.Wait()
	for len(lost) > 0 {
		t.Errorf("seed %d: lost a connection: %v", seed, <-lost)
	}
}

// echoRound sends message to all members, which send it back in one turn, and takes it.
func echoRound(t testing.TB, l *EventLoop, all []*member, message []byte) func() {
	buf := make([]byte, len(message)+1)
	return func() {
		for _, m := range all {
			m.got = m.got[:0]
			unix.Write(m.peer, message)
		}
		l.turn()
		for _, m := range all {
			if n, errno := recv(int32(m.peer), buf); n != len(message) {
				t.Fatal(n, errno)
			}
		}
	}
}

// BenchmarkBatch is one turn in which so many sockets receive 300 bytes and send them back, and the peers' two calls
// each: the difference between the modes is what a batch saves.
func BenchmarkBatch(b *testing.B) {
	for _, n := range []int{2, 3, 4, 8, 64, 200} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := stepper(b)
			all := members(b, l, n, func(m *member) { m.conn.Write(m.conn.In()) })
			round := echoRound(b, l, all, pattern(300))
			for b.Loop() {
				round()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/socket")
		})
	}
}
