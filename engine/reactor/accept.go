package reactor

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	acceptsPerEvent = 64
	// starvedTime is how long accepting waits when there is no descriptor for another connection.
	starvedTime = 50 * time.Millisecond
)

// acceptState is whether an acceptor takes connections.
type acceptState uint8

const (
	acceptRunning acceptState = iota
	acceptPaused              // by the owner
	acceptStarved             // no descriptor was left; a timer tries again
	acceptClosed
)

func (s acceptState) String() string { return [...]string{"running", "paused", "starved", "closed"}[s] }

// Acceptor takes the connections of one listening socket on one loop, which alone may touch it.
type Acceptor struct {
	loop   *EventLoop
	fd     int32
	place  int32
	watch  uint32
	state  acceptState
	accept func(Conn) Sink
	retry  Timer
}

// AddListener takes connections from a listening socket (Listener.Sockets), which stays the caller's. accept is called
// for each and returns who hears it; it may close the connection and return nil. On the loop, or before Run. When the
// kernel has no memory to watch one more socket it is asked again until it has.
func (l *EventLoop) AddListener(s Socket, accept func(Conn) Sink) *Acceptor {
	a := &Acceptor{loop: l, fd: int32(s.FD), place: -1, accept: accept, watch: watchAccept}
	if s.Shared {
		a.watch = watchShared
	}
	a.retry.Fire = a.resume
	a.resume()
	return a
}

// Pause leaves new connections in the kernel's queue until Resume.
func (a *Acceptor) Pause() {
	if a.state != acceptClosed {
		a.rest(acceptPaused)
	}
}

// Resume accepts again after Pause.
func (a *Acceptor) Resume() {
	if a.state == acceptPaused {
		a.resume()
	}
}

// Close accepts no more. The listening socket stays open.
func (a *Acceptor) Close() { a.rest(acceptClosed) }

// Finish takes the connections that wait in the kernel's queue, as far as there is room for them, and accepts no more:
// for a listening socket that nobody will watch after this.
func (a *Acceptor) Finish() {
	a.loop.closeDropped()
	d := a.loop.config.Descriptors
	for range backlog {
		if a.state != acceptRunning || !d.take(d.forAccept) || !a.acceptOne() {
			break
		}
	}
	a.Close()
}

func (a *Acceptor) stop() { a.Close() }

// begin watches the socket; what is queued already is reported.
func (a *Acceptor) begin() (err error) {
	a.place, err = a.loop.poller.add(a.fd, a.watch, a, 0)
	return err
}

// rest stops watching the socket.
func (a *Acceptor) rest(why acceptState) {
	a.state = why
	a.loop.Stop(&a.retry)
	if a.place >= 0 {
		a.loop.poller.remove(a.fd, a.place)
		a.place = -1
	}
}

// starve stops accepting until there may be descriptors again.
func (a *Acceptor) starve() {
	a.loop.stats.Pauses.Add(1)
	a.rest(acceptStarved)
	a.loop.Arm(&a.retry, starvedTime)
}

// resume watches the socket again, or tries later when the kernel refuses.
func (a *Acceptor) resume() {
	a.state = acceptRunning
	if a.begin() != nil {
		a.starve()
	}
}

// ready has connections taken behind the turn's output.
func (a *Acceptor) ready(uint32) { a.loop.accepting = append(a.loop.accepting, a) }

// take takes connections. Only for the first of an event is room made, since only that one surely waits; the event comes
// again while there are more.
func (a *Acceptor) take() {
	if a.state != acceptRunning {
		return // it was closed, or rests
	}
	d := a.loop.config.Descriptors
	for i := range acceptsPerEvent {
		switch {
		case d.take(d.forAccept):
		case i > 0:
			return
		case a.loop.closeDropped() && d.take(d.forAccept):
		case !a.shed() || !d.take(d.forAccept):
			a.starve()
			return
		}
		if !a.acceptOne() || a.state != acceptRunning {
			return
		}
	}
}

// acceptOne takes one connection, for which a descriptor was counted. It reports whether there may be more.
func (a *Acceptor) acceptOne() bool {
	l := a.loop
	fd, errno := acceptSocket(a.fd, &l.name)
	if errno != 0 {
		l.config.Descriptors.give()
		switch errno {
		case unix.EAGAIN:
			return false
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			if !l.closeDropped() { // otherwise there is room for the next try
				a.shed() // the limit is lower than we think
				a.starve()
			}
			return false
		}
		return true // that connection was gone already
	}
	s := l.newSocket(fd, l.name.Addr.Family, outputReady)
	s.peer = decodeName(&l.name)
	l.stats.Open.Add(1)
	if s.watch(0) != nil {
		s.Abort()
		return true
	}
	l.current = s
	sink := a.accept(s)
	l.current = nil
	if sink == nil && s.phase.hears() {
		s.Abort()
	}
	s.SetSink(sink)
	return true
}

// shed asks the owner to close a connection it can spare.
func (a *Acceptor) shed() bool {
	if a.loop.config.Shed == nil || !a.loop.config.Shed() {
		return false
	}
	a.loop.stats.Shed.Add(1)
	a.loop.closeDropped()
	return true
}
