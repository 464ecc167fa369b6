package exchange_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"traffic_management/codec/h1"
	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/internal/sim"
	"traffic_management/routing"
	"traffic_management/upstream"
)

// ending is how one side of a tunnel goes about its end.
type ending uint8

const (
	endsItself ending = iota // when it has sent all
	endsAfter                // when it has sent all and the other side has ended
	endsNever                // left to the proxy's time limit
	endsBroken               // with a reset, somewhere in between
	endings
)

func (e ending) String() string { return [...]string{"itself", "after", "never", "broken"}[e] }

// talker is one side of a simulated tunnel. It sends what no other one sends, in pieces and with pauses, reads in fits
// and starts, and keeps what it got.
type talker struct {
	w      *tunnelWorld
	conn   reactor.Conn
	say    []byte // what it sends, with a head before it
	early  int    // how much of say goes out before the other side's head is here
	sent   int
	got    []byte
	head   int // bytes of got that are the other side's head, 0 before it is here
	ending ending
	fate   string // "end" or "reset" once the other side has ended
	over   bool   // it has ended its own side
	onHead func(head string)

	sender, reader reactor.Timer
}

func (w *tunnelWorld) newTalker(head string, n int, seed uint64, e ending) *talker {
	t := &talker{w: w, say: append([]byte(head), pattern(seed, n)...), early: len(head), ending: e}
	t.sender.Fire = t.speak
	t.reader.Fire = func() { t.conn.Hold(false) }
	return t
}

// speak sends the next piece of what may be sent now.
func (t *talker) speak() {
	if t.over || t.fate == "reset" {
		return
	}
	may := len(t.say)
	if t.head == 0 {
		may = t.early
	}
	n := 0
	if rest := may - t.sent; rest > 0 {
		n = 1 + t.w.rnd.IntN(rest)
	}
	t.conn.Write(t.say[t.sent : t.sent+n])
	t.sent += n
	switch {
	case t.head == 0:
		if t.sent < may {
			t.w.loop.Arm(&t.sender, time.Duration(t.w.rnd.IntN(60))*time.Millisecond)
		}
	case t.ending == endsBroken && t.w.rnd.IntN(3) == 0:
		t.over = true
		t.conn.Abort()
	case t.sent == len(t.say) && (t.ending == endsItself || t.ending == endsAfter && t.fate != ""):
		t.over = true
		t.conn.CloseWrite()
	case t.sent < may || t.ending == endsBroken:
		t.w.loop.Arm(&t.sender, time.Duration(t.w.rnd.IntN(60))*time.Millisecond)
	}
}

func (t *talker) OnData() {
	t.got = append(t.got, t.conn.In()...)
	t.conn.Consume(len(t.conn.In()))
	if i := bytes.Index(t.got, []byte("\r\n\r\n")); t.head == 0 && i >= 0 {
		t.head = i + 4
		t.onHead(string(t.got[:t.head]))
	}
	if t.conn.EOF() {
		t.fate = "end"
		t.speak()
		if t.over {
			t.conn.Close(false)
		}
		return
	}
	if t.w.rnd.IntN(6) == 0 && !t.reader.Armed() {
		t.conn.Hold(true)
		t.w.loop.Arm(&t.reader, time.Duration(t.w.rnd.IntN(900))*time.Millisecond)
	}
}

func (t *talker) OnDrained() {}

func (t *talker) OnClosed(error) { t.fate = "reset" }

// heard is what came from the other side in the tunnel.
func (t *talker) heard() []byte { return t.got[t.head:] }

// tunnelWorld is the proxy between simulated clients and servers that want to talk in another protocol.
type tunnelWorld struct {
	rnd      *rand.Rand
	loop     *watchedLoop
	entry    *frontend.EntryPoint
	target   *upstream.Target
	tunnels  []*simTunnel
	observed map[string]int // times the observer was told, by name
	world    world          // for its meters and faults
}

// simTunnel is one tunnel of a world, or one that its server declines.
type simTunnel struct {
	name           string
	client, server *talker
	declined       bool
	opened         bool // the client got 101
}

func (w *tunnelWorld) Done(x *exchange.Exchange) {
	w.observed[string(x.RequestHead.Path)]++
	if !x.Tunnel() && x.Status == 101 || x.Tunnel() && x.Status != 101 {
		w.world.fault("%s: a tunnel %v with status %d", x.RequestHead.Path, x.Tunnel(), x.Status)
	}
}

func newTunnelWorld(t testing.TB, seed uint64) *tunnelWorld {
	rnd := rand.New(rand.NewPCG(seed, 0x74756e6e656c))
	w := &tunnelWorld{rnd: rnd, observed: map[string]int{}, loop: &watchedLoop{sim.NewLoop(seed), map[*reactor.Timer]bool{}}}
	addr := serverAddr(0)
	w.target = upstream.NewTarget("t", addr, "s", 1)
	service := upstream.NewService("s", &upstream.Options{ConnectTimeout: time.Second, RequestTimeout: 4 * time.Second,
		ResponseIdle: time.Second, IdleTimeout: 3 * time.Second, MaxIdle: 8, PassHost: true,
		HeadLimits: h1.Limits{HeadBytes: 4096, Fields: 30}}, nil)
	service.SetTargets([]*upstream.Target{w.target})
	rule, err := routing.Parse("PathPrefix(`/`)")
	if err != nil {
		t.Fatal(err)
	}
	pools := upstream.NewPools(w.loop, upstream.NewGroup(1), seed, func(*upstream.Service) upstream.Meter { return meter{&w.world} })
	w.entry = &frontend.EntryPoint{
		Local: exchange.NewLocal(w.loop, pools, w, seed), Conns: frontend.NewConnections(), Meter: entryMeter{&w.world},
		Env: &exchange.Env{MaxBody: 10, Upgrades: []string{"websocket"}, Table: routing.NewTable([]routing.Entry[*exchange.Route]{
			{Name: "r", Rule: rule, Value: &exchange.Route{Name: "r", Service: service}}})},
		Settings: &frontend.Settings{HeaderTimeout: headTimeout, BodyIdle: time.Second, BodyGrace: time.Second, BodyMinRate: 1 << 20,
			IdleTimeout: time.Second, WriteTimeout: 5 * time.Second, TunnelIdle: 10 * time.Second,
			Limits: h1.Limits{HeadBytes: 4096, Fields: 30}},
	}
	for i := range 1 + rnd.IntN(8) {
		w.tunnels = append(w.tunnels, w.newTunnel(fmt.Sprintf("/%d", i)))
	}
	w.loop.Listen(addr, w.accept)
	return w
}

// newTunnel makes the two sides of a tunnel. The client does not always wait for 101.
func (w *tunnelWorld) newTunnel(name string) *simTunnel {
	rnd := w.rnd
	x := &simTunnel{name: name, declined: rnd.IntN(6) == 0}
	size := func() int { return rnd.IntN([]int{1, 100, 5_000, 120_000}[rnd.IntN(4)]) }
	end := func() ending { return []ending{endsItself, endsItself, endsAfter, endsNever, endsBroken}[rnd.IntN(5)] }
	head := "GET " + name + " HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	x.client = w.newTalker(head, size(), rnd.Uint64(), end())
	if rnd.IntN(2) == 0 {
		x.client.early += rnd.IntN(1 + len(x.client.say) - len(head))
	}
	answer, n := switched, size()
	if x.declined {
		answer, n = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 0
	}
	x.server = w.newTalker(answer, n, rnd.Uint64(), end())
	x.server.early = 0
	x.client.onHead = func(head string) {
		x.opened = head == switched
		if x.opened == x.declined && x.server.ending != endsBroken { // which may lose its answer
			w.world.fault("%s: the client got %q", name, head)
		}
		if x.declined {
			x.client.early, x.client.ending = len(x.client.say), endsItself // it does not care, and goes on
		}
		w.loop.Arm(&x.client.sender, 0)
	}
	x.server.onHead = func(string) { w.loop.Arm(&x.server.sender, time.Duration(rnd.IntN(500))*time.Millisecond) }
	return x
}

// newcomer is a server's end before it is known which tunnel it belongs to.
type newcomer struct {
	w    *tunnelWorld
	conn reactor.Conn
}

func (n *newcomer) OnDrained()     {}
func (n *newcomer) OnClosed(error) {}
func (n *newcomer) OnData() {
	in := n.conn.In()
	for _, x := range n.w.tunnels {
		if bytes.HasPrefix(in, []byte("GET "+x.name+" HTTP/1.1\r\n")) {
			x.server.conn = n.conn
			n.conn.SetSink(x.server)
			n.conn.Wake()
			return
		}
	}
	if n.conn.EOF() {
		n.conn.Close(false)
	}
}

func (w *tunnelWorld) accept(c reactor.Conn) reactor.Sink { return &newcomer{w, c} }

// run lets everything happen.
func (w *tunnelWorld) run() {
	for _, x := range w.tunnels {
		ours, theirs := w.loop.Pipe(nil, x.client)
		x.client.conn = theirs
		ours.SetSink(w.entry.Accept(ours))
		w.loop.Arm(&x.client.sender, time.Duration(w.rnd.IntN(200))*time.Millisecond)
	}
	w.loop.Advance(5 * time.Minute)
}

// judge checks what each side got, and how it heard of the end.
func (w *tunnelWorld) judge() {
	for _, x := range w.tunnels {
		up, down := x.client.say[bytes.Index(x.client.say, []byte("\r\n\r\n"))+4:], x.server.say[bytes.Index(x.server.say, []byte("\r\n\r\n"))+4:]
		broken := x.client.ending == endsBroken || x.server.ending == endsBroken
		cut := broken || x.client.ending == endsNever || x.server.ending == endsNever || // the proxy ends what is silent
			x.client.ending == endsAfter && x.server.ending == endsAfter
		switch got, heard := x.server.heard(), x.client.heard(); {
		case w.observed[x.name] != 1:
			w.world.fault("%s was observed %d times", x.name, w.observed[x.name])
		case !x.opened:
			if len(got) > 0 && x.declined {
				w.world.fault("%s: the server declined and got %q", x.name, got[:min(len(got), 50)])
			}
		case !bytes.HasPrefix(up, got) || !bytes.HasPrefix(down, heard):
			w.world.fault("%s: other bytes arrived than were sent", x.name)
		case !broken && (len(got) < len(up) || len(heard) < len(down)):
			w.world.fault("%s (%v, %v): %d of %d bytes up, %d of %d down", x.name, x.client.ending, x.server.ending, len(got), len(up),
				len(heard), len(down))
		case !cut && (x.client.fate != "end" || x.server.fate != "end"):
			w.world.fault("%s (%v, %v): the client heard %q, the server %q", x.name, x.client.ending, x.server.ending, x.client.fate,
				x.server.fate)
		case x.client.fate == "" && !x.client.over || x.server.fate == "" && !x.server.over:
			w.world.fault("%s (%v, %v): the client heard %q, the server %q", x.name, x.client.ending, x.server.ending, x.client.fate,
				x.server.fate)
		}
	}
	if w.entry.Conns.Open() != 0 || w.entry.Conns.Tunnels() != 0 || w.world.tunnels != 0 || w.target.Open() != 0 || w.target.InFlight() != 0 {
		w.world.fault("left: %d client connections, %d tunnels, %d counted, %d to the server, %d in flight", w.entry.Conns.Open(),
			w.entry.Conns.Tunnels(), w.world.tunnels, w.target.Open(), w.target.InFlight())
	}
	for t := range w.loop.timers {
		if t.Armed() {
			w.world.fault("a timer is armed, due in %v", t.Deadline().Sub(w.loop.Now()))
		}
	}
}

// TestTunnelWorlds runs tunnels between random clients and servers: whatever the pieces, the stalls and the order of the
// ends, bytes arrive whole and in order both ways, unless a side broke its connection; a server that declines gets
// nothing; and nothing is left.
func TestTunnelWorlds(t *testing.T) {
	kinds := map[string]int{}
	for seed := range uint64(*worlds+1) / 2 {
		if *only >= 0 {
			seed = uint64(*only)
		}
		w := newTunnelWorld(t, seed)
		w.run()
		w.judge()
		for i, f := range w.world.faults[:min(len(w.world.faults), 5)] {
			t.Errorf("seed %d, fault %d of %d: %s", seed, i+1, len(w.world.faults), f)
		}
		for _, x := range w.tunnels {
			kinds[fmt.Sprintf("declined %v: %v, %v", x.declined, x.client.ending, x.server.ending)]++
		}
		if *only >= 0 {
			break
		}
	}
	t.Log(kinds)
}
