package reactor

import (
	"golang.org/x/sys/unix"
)

// turn looks for events without blocking and does all work there is. It reports whether there was any, and whether the
// loop is to end.
func (l *EventLoop) turn() (worked, stopping bool) {
	l.ready, l.readyDone, l.receivedTo = l.poller.wait(), 0, 0
	l.now = l.Clock()
	l.posts, stopping = l.mail.take(l.posts[:0])
	l.postsDone = 0
	l.visitsDue, l.visitsDone = -1, 0
	l.hooksDone = 0
	if l.ready == 0 && len(l.posts) == 0 && len(l.visits) == 0 && len(l.flushes) == 0 && len(l.seals) == 0 &&
		len(l.deferred) == 0 && len(l.dropped) == 0 {
		return false, stopping
	}
	for !l.work() {
	}
	later := copy(l.visits, l.visits[l.visitsDue:])
	clear(l.visits[later:])
	l.visits = l.visits[:later]
	l.goOn()
	end := l.Clock()
	l.setAlarm(end)
	took := end.Sub(l.now)
	l.stats.Turns.Add(1)
	if took > StallTime {
		l.stats.Stalls.Add(1)
	}
	if l.config.OnTurn != nil {
		l.config.OnTurn(took)
	}
	return true, stopping
}

// work works off the lists of this turn. A contained panic makes it return false; called again it goes on behind what
// panicked.
func (l *EventLoop) work() (done bool) {
	defer l.contain()
	l.settle()
	for l.readyDone < l.ready {
		if l.ring != nil && l.readyDone == l.receivedTo {
			l.receiveRing()
		}
		s, events := l.poller.event(l.readyDone)
		l.readyDone++
		if s != nil {
			s.ready(events)
			l.settle()
		}
	}
	for l.postsDone < len(l.posts) {
		f := l.posts[l.postsDone]
		l.posts[l.postsDone] = nil
		l.postsDone++
		f()
		l.settle()
	}
	if l.visitsDue < 0 {
		l.visitsDue = len(l.visits)
	}
	for l.visitsDone < l.visitsDue {
		s := l.visits[l.visitsDone]
		l.visitsDone++
		s.visit()
		l.settle()
	}
	for t := l.wheel.Expire(l.now); t != nil; t = l.wheel.Expire(l.now) {
		t.Fire()
		l.settle()
	}
	l.flush()
	// What nobody waits for comes behind what went out.
	l.closeDropped()
	for l.acceptingDone < len(l.accepting) {
		a := l.accepting[l.acceptingDone]
		l.acceptingDone++
		a.take()
		l.settle()
	}
	l.accepting, l.acceptingDone = l.accepting[:0], 0
	for l.hooksDone < len(l.hooks) {
		f := l.hooks[l.hooksDone]
		l.hooksDone++
		f()
		l.settle()
	}
	return true
}

// settle does what the event just handled left to be done after it.
func (l *EventLoop) settle() {
	if len(l.deferred) == 0 {
		return
	}
	for l.deferredDone < len(l.deferred) {
		d := l.deferred[l.deferredDone]
		l.deferred[l.deferredDone] = deferral{}
		l.deferredDone++
		switch {
		case d.f != nil:
			d.f()
		case d.err != nil:
			d.socket.closed(d.err)
		default:
			d.socket.announce()
		}
	}
	l.deferred, l.deferredDone = l.deferred[:0], 0
}

// flush seals and sends what connections gathered: in one system call for all, or in one each.
func (l *EventLoop) flush() {
	l.sealAll()
	if l.ring != nil && len(l.flushes)-l.flushesDone >= ringWorth {
		l.flushRing()
		l.settle()
		l.sealAll()
	}
	for l.flushesDone < len(l.flushes) {
		s := l.flushes[l.flushesDone]
		l.flushes[l.flushesDone] = nil
		l.flushesDone++
		if s != nil {
			s.flush()
			l.settle()
			l.sealAll()
		}
	}
	l.flushes, l.flushesDone = l.flushes[:0], 0
}

// setAlarm makes the timerfd go off when the wheel has something to do next. It is left alone when it goes off sooner
// already, so that moving a timer on costs no system call.
func (l *EventLoop) setAlarm(now Instant) {
	if l.alarm != 0 && l.alarm <= now {
		l.alarm = 0 // it went off
	}
	at, ok := l.wheel.Next()
	if !ok || l.alarm != 0 && l.alarm <= at {
		return
	}
	l.alarm = max(at, now+1)
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(l.alarm - now))}
	_ = unix.TimerfdSettime(l.timerFD, 0, &spec, nil) // fails only for a bad descriptor or value
}
