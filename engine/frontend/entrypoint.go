package frontend

import (
	"time"

	"traffic_management/codec/h1"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// Settings are what an entry point's configuration says of its client connections; immutable.
type Settings struct {
	HeaderTimeout time.Duration // for a whole request head
	BodyIdle      time.Duration // longest silence inside request content
	BodyGrace     time.Duration // before BodyMinRate is asked for
	BodyMinRate   int64         // bytes a second of request content, on average; 0: no limit
	IdleTimeout   time.Duration // between requests
	WriteTimeout  time.Duration // longest the client may take nothing of what is queued for it
	Limits        h1.Limits     // of request heads and trailer sections
	MaxRequests   int           // on one connection; 0: no limit
}

// Meter counts the client connections of one entry point on one loop.
type Meter interface {
	Accepted()
	Closed()
}

// EntryPoint is one entry point's part of one loop. It belongs to the loop.
type EntryPoint struct {
	// Immutable:
	Local *exchange.Local
	Conns *Connections
	Meter Meter
	// OnClosed, when set, is called after a connection closed.
	OnClosed func()

	// Owned by the loop; a reload replaces them.
	Env      *exchange.Env
	Settings *Settings
}

// Accept takes a new client connection.
func (e *EntryPoint) Accept(conn reactor.Conn) reactor.Sink {
	c := &H1{entry: e, conn: conn, peer: exchange.NewPeer(conn.Peer(), conn.Local())}
	c.readTimer.Fire = c.readExpired
	c.writeTimer.Fire = c.writeExpired
	e.Conns.all++
	e.Conns.pushIdle(c)
	e.Meter.Accepted()
	e.Local.Loop.Arm(&c.readTimer, e.Settings.HeaderTimeout)
	return c
}

// Connections is all client connections of one loop, whatever their entry point. It belongs to the loop.
type Connections struct {
	all         int
	first, last *H1 // idle ones, the longest idle first
	draining    bool
	drained     func()
	out         []byte // a response head being written
	framer      h1.Framer
}

// NewConnections makes an empty set.
func NewConnections() *Connections { return &Connections{out: make([]byte, 0, 4096)} }

// Open is how many client connections there are.
func (s *Connections) Open() int { return s.all }

// ShedIdle closes the connection that has been idle for longest. It reports whether there was one.
func (s *Connections) ShedIdle() bool {
	c := s.first
	if c == nil {
		return false
	}
	c.close(false)
	return true
}

// Drain closes idle connections now and the others after the response they are at; done is called when there are
// none left.
func (s *Connections) Drain(done func()) {
	s.draining, s.drained = true, done
	for s.ShedIdle() {
	}
	s.checkDrained()
}

func (s *Connections) checkDrained() {
	if s.draining && s.all == 0 && s.drained != nil {
		done := s.drained
		s.drained = nil
		done()
	}
}

func (s *Connections) pushIdle(c *H1) {
	c.before, c.after = s.last, nil
	if s.last == nil {
		s.first = c
	} else {
		s.last.after = c
	}
	s.last = c
	c.phase = phaseIdle
}

func (s *Connections) removeIdle(c *H1) {
	if c.before == nil {
		s.first = c.after
	} else {
		c.before.after = c.after
	}
	if c.after == nil {
		s.last = c.before
	} else {
		c.after.before = c.before
	}
	c.before, c.after = nil, nil
}
