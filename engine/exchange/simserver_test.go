package exchange_test

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"traffic_management/engine/reactor"
)

// server is a server's end of one connection: it checks what arrives and does what the request's plan says.
type server struct {
	w     *world
	conn  reactor.Conn
	in    messages
	plan  *plan    // of the request under way or being answered, nil between requests
	visit *arrival // its
	timer reactor.Timer
	out   []byte // of the response, still to be sent

	requests int
	stage    serverStage
}

// serverStage is what a server is at.
type serverStage uint8

const (
	serverReading   serverStage = iota // awaits a request, or the rest of one
	serverAnswering                    // sends a response
	serverShut                         // has sent its last, awaits the proxy's end
	serverGone
)

func (s serverStage) String() string { return [...]string{"reading", "answering", "shut", "gone"}[s] }

func (w *world) accept(c reactor.Conn) reactor.Sink {
	s := &server{w: w, conn: c}
	s.timer.Fire = s.step
	w.servers++
	return s
}

func (s *server) OnDrained() {}

func (s *server) OnClosed(error) { s.gone() }

func (s *server) gone() {
	s.stage = serverGone
	s.w.loop.Stop(&s.timer)
}

// end closes the connection, in one way or the other.
func (s *server) end(reset bool) {
	s.gone()
	if reset {
		s.conn.Abort()
	} else {
		s.conn.Close(false)
	}
}

func (s *server) OnData() {
	if s.stage == serverShut {
		if s.conn.Consume(len(s.conn.In())); s.conn.EOF() {
			s.end(false)
		}
		return
	}
	s.in.buf = append(s.in.buf, s.conn.In()...)
	s.conn.Consume(len(s.conn.In()))
	s.read()
}

// read takes what came, up to the end of a request that is not answered: the next one may have come behind it.
func (s *server) read() {
	for s.stage != serverGone && !(s.visit != nil && s.visit.whole) {
		e, err := s.in.next()
		switch {
		case err != nil:
			s.w.fault("a server received %v", err)
			s.end(true)
		case e == eventHead:
			s.head()
		case e == eventDone:
			s.whole()
		default:
			if s.visit != nil && !s.visit.whole {
				s.visit.content = len(s.in.content)
				s.check()
			}
			if s.conn.EOF() {
				s.end(false)
			}
			return
		}
	}
}

// head takes a request's head.
func (s *server) head() {
	target := strings.Split(s.in.start, " ")
	p := s.w.plans[strings.Trim(strings.Split(target[1], "?")[0], "/")]
	if p == nil || s.plan != nil {
		s.w.fault("a server received %q while at %v", s.in.start, s.plan)
		s.end(true)
		return
	}
	if want := fmt.Sprintf("%s /%s?x=%x HTTP/1.1", p.method, p.name, p.seed); s.in.start != want {
		s.w.fault("a server received %q, want %q", s.in.start, want)
	}
	for name, want := range map[string]string{"host": "example.org", "x-plan": p.name, "connection": "",
		"x-forwarded-proto": "http", "x-forwarded-host": "example.org"} {
		if got := s.in.fields[name]; got != want {
			s.w.fault("%s: the server received %s: %q, want %q", p.name, name, got, want)
		}
	}
	if len(p.arrivals) > 0 {
		s.w.again(p)
	}
	s.w.loop.Stop(&s.timer)
	s.plan, s.visit = p, &arrival{reused: s.requests > 0}
	if p.mood < moodBusy || len(p.arrivals) < p.lapses {
		s.visit.mood = p.mood
	}
	s.requests++
	p.arrivals = append(p.arrivals, s.visit)
	if p.interim > 0 || p.expect {
		reply := strings.Repeat("HTTP/1.1 103 Early Hints\r\nX-Plan: "+p.name+"\r\n\r\n", p.interim)
		if p.expect {
			reply += "HTTP/1.1 100 Continue\r\n\r\n"
		}
		s.conn.Write([]byte(reply))
	}
	if p.early(s.visit) {
		s.answer()
	}
}

// whole takes the end of a request.
func (s *server) whole() {
	s.visit.content, s.visit.whole = len(s.in.content), true
	s.check()
	p := s.plan
	if len(s.in.content) != len(p.content) || !strings.EqualFold(s.in.trailer, p.trailer) {
		s.w.fault("%s: the server received %d of %d bytes and trailer %q", p.name, len(s.in.content), len(p.content), s.in.trailer)
	}
	switch m := s.visit.mood; {
	case p.early(s.visit):
		s.next()
	case m == moodClose, m == moodReset:
		s.end(m == moodReset)
	case m == moodHang:
	default:
		s.answer()
	}
}

// check compares the content that has arrived.
func (s *server) check() {
	if !bytes.HasPrefix(s.plan.content, s.in.content) {
		s.w.fault("%s: the server received other content", s.plan.name)
	}
}

// answer begins to respond.
func (s *server) answer() {
	s.stage = serverAnswering
	m := s.visit.mood
	s.out = s.plan.response(m)
	if m == moodTruncate || m == moodAbort {
		s.out = s.out[:s.w.rnd.IntN(len(s.out))]
	}
	s.w.loop.Arm(&s.timer, s.plan.pause)
}

// step sends the next piece of the response, or ends what is idle.
func (s *server) step() {
	w := s.w
	if s.stage == serverReading {
		s.end(w.rnd.IntN(4) == 0) // idle for too long
		return
	}
	n := len(s.out)
	if w.rnd.IntN(2) == 0 {
		n = w.rnd.IntN(n + 1)
	}
	s.conn.Write(s.out[:n])
	if s.out = s.out[n:]; len(s.out) > 0 {
		w.loop.Arm(&s.timer, time.Duration(w.rnd.IntN(50))*time.Millisecond)
		return
	}
	switch p, m := s.plan, s.visit.mood; {
	case m == moodAbort:
		s.end(true)
	case m == moodAnnounced, m == moodTruncate,
		m != moodBusy && p.method != "HEAD" && p.status == 200 && p.replyFraming == framedByClose:
		s.conn.CloseWrite() // all of it is to arrive, however slow the reader; the proxy closes in turn
		s.stage = serverShut
	default:
		s.stage = serverReading
		s.next()
	}
}

// next waits for another request, once the last one is whole and answered.
func (s *server) next() {
	if s.stage != serverReading || !s.visit.whole {
		return
	}
	silent := s.visit.mood == moodSilent
	s.plan, s.visit = nil, nil
	defer s.read()
	switch {
	case silent:
		s.w.loop.Arm(&s.timer, time.Duration(s.w.rnd.IntN(20))*time.Millisecond)
	case !s.w.calm:
		s.w.loop.Arm(&s.timer, time.Duration(s.w.rnd.IntN(5000))*time.Millisecond)
	}
}
