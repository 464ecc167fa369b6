package frontend

import (
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// part is which part of its life a client connection is in, whatever it speaks.
type part uint8

const (
	partFresh  part = iota // accepted a moment ago, nothing of a request was seen; not to be given up for others yet
	partIdle               // nothing is under way
	partActive             // a request or its response is
	partTunnel             // turned to another protocol as a whole
	parts
)

func (p part) String() string { return [...]string{"fresh", "idle", "active", "tunnel"}[p] }

// speaker is what a connection speaks at present.
type speaker interface {
	// readExpired is called when readTimer fires, and ends the connection when it is idle and is to end now.
	readExpired()
	// shed ends an idle connection, for its place is needed.
	shed()
	// drain is told of a connection at something that its entry point or its loop is to end.
	drain()
	// breakOff ends connection and exchanges with nobody to tell.
	breakOff(e *codec.Error)
	// endExchanges ends the exchanges for which old is true, and returns how many.
	endExchanges(old func(*exchange.Env) bool) int
	// endTunnels ends tunnels, with what is queued for either side.
	endTunnels()
}

// connection is what every client connection has, whatever it speaks. It belongs to its loop.
type connection struct {
	// Immutable:
	entry    *EntryPoint
	conn     reactor.Conn
	meter    Meter
	speaker  speaker // what embeds it
	peer     exchange.Peer
	accepted reactor.Instant // when it could begin to speak HTTP: behind a handshake

	// Owned by the loop:
	before, after *connection // neighbours in list
	list          *roll       // of Connections
	readTimer     reactor.Timer
	writeTimer    reactor.Timer
	taken         int64 // bytes that the client's socket had taken when writeTimer was armed
	written       int64 // bytes given to the socket
	part          part
}

// begin makes the connection one of the set, in partFresh.
func (c *connection) begin(e *EntryPoint, conn reactor.Conn, m Meter, by speaker) {
	c.entry, c.conn, c.meter, c.speaker = e, conn, m, by
	c.accepted = e.Local.Loop.Now()
	c.readTimer.Fire, c.writeTimer.Fire = by.readExpired, c.writeExpired
	e.Conns.add(c)
}

// awaitFirst arms readTimer for a connection that began: it counts as idle from freshTime on.
func (c *connection) awaitFirst(limit time.Duration) {
	c.entry.Local.Loop.Arm(&c.readTimer, min(freshTime, limit))
}

// gone takes a connection that has ended out of everything.
func (c *connection) gone() {
	e := c.entry
	e.Conns.forget(c)
	c.stopTimers()
	c.meter.Closed()
	if e.OnClosed != nil {
		e.OnClosed()
	}
	e.Conns.checkDrained(e.Local.Loop)
}

// replaced takes a connection out of the set that goes on as one that speaks another protocol.
func (c *connection) replaced() {
	c.entry.Conns.forget(c)
	c.stopTimers()
}

func (c *connection) stopTimers() {
	c.entry.Local.Loop.Stop(&c.readTimer)
	c.entry.Local.Loop.Stop(&c.writeTimer)
}

// watchWriting sees to it that a client that stops reading is noticed.
func (c *connection) watchWriting() {
	if q := c.conn.Queued(); q > 0 && !c.writeTimer.Armed() {
		c.taken = c.written - int64(q)
		c.entry.Local.Loop.Arm(&c.writeTimer, c.entry.Settings.WriteTimeout)
	}
}

// writeExpired ends a connection whose client took nothing for WriteTimeout.
func (c *connection) writeExpired() {
	if q := c.conn.Queued(); q > 0 && c.written-int64(q) <= c.taken {
		c.speaker.breakOff(errWriteTimeout)
		return
	}
	c.watchWriting()
}
