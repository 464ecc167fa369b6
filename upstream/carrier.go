package upstream

import (
	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// carrier is what an attempt has of a connection, from AttemptReady on: the whole of it, or its share of one that
// others use, too. It is the Stream that the receiver gets.
type carrier interface {
	codec.Stream
	// unused takes the attempt off, of which nothing was sent: in AttemptReady.
	unused()
	// abandon takes it off in AttemptOpen, whatever was sent. Nothing is heard of it any more.
	abandon()
	// expired says that the attempt's timer ran out in AttemptOpen.
	expired()
}

// awaited is what an attempt waits for in AttemptOpening. leave takes it off, for good.
type awaited interface{ leave(a *Attempt) }

// sharedConn is an open connection that carries more than one request at a time. Its pool has it in pool.shared from
// when it is open until it takes no more requests, and loses it by pool.unshare.
type sharedConn interface {
	// room is how many more requests of this shape it takes now.
	room(s Shape) int
	// take gives a a carrier by bind, or has it wait in AttemptOpening. There is room.
	take(a *Attempt)
	// idleSince is since when it carries nothing; ok is false while it carries something.
	idleSince() (since reactor.Instant, ok bool)
	// retire makes it close as soon as it has finished what it carries.
	retire()
}

// Shape is what decides which connections a request can use.
type Shape uint8

// Shapes of requests.
const (
	ShapeAny     Shape = iota // none of the others
	ShapeBare                 // an unconditional GET without content: may follow another before that is answered
	ShapeUpgrade              // offers the server another protocol, for which it may need a connection of its own
)

func (s Shape) String() string { return [...]string{"any", "bare", "upgrade"}[s] }

// line is attempts that wait for the same thing, linked by Attempt.next. The zero value is empty.
type line struct {
	first, last *Attempt
	n           int
}

func (l *line) push(a *Attempt) {
	a.next = nil
	if l.last == nil {
		l.first = a
	} else {
		l.last.next = a
	}
	l.last = a
	l.n++
}

// pushFirst puts a before all others.
func (l *line) pushFirst(a *Attempt) {
	a.next = l.first
	if l.first = a; l.last == nil {
		l.last = a
	}
	l.n++
}

// pop takes out who came first, nil when nobody waits.
func (l *line) pop() *Attempt {
	a := l.first
	if a != nil {
		l.remove(a)
	}
	return a
}

// replace puts b in the place of a, which is in it.
func (l *line) replace(a, b *Attempt) {
	b.next, a.next = a.next, nil
	if l.last == a {
		l.last = b
	}
	if l.first == a {
		l.first = b
		return
	}
	for x := l.first; x != nil; x = x.next {
		if x.next == a {
			x.next = b
			return
		}
	}
}

// remove takes a out, which may be anywhere in it. It reports whether a was there.
func (l *line) remove(a *Attempt) bool {
	var before *Attempt
	for x := l.first; x != nil; before, x = x, x.next {
		if x != a {
			continue
		}
		if before == nil {
			l.first = a.next
		} else {
			before.next = a.next
		}
		if l.last == a {
			l.last = before
		}
		a.next = nil
		l.n--
		return true
	}
	return false
}
