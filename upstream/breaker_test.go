package upstream

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

func breakerPolicy() BreakerPolicy {
	p := BreakerPolicy{Name: "b", FailureThreshold: 3, Recovery: 10 * time.Second, HalfOpenRequests: 1, Window: 10 * time.Second}
	p.Failures.Add(500, 599)
	return p
}

// Scripts of what passes a breaker: each word is an event and its results are checked one by one.
//
//	s, f, n    a request that succeeds, fails, ends neutrally, at once
//	(  )s )f   a request begins; the oldest that runs ends so
//	+N         N seconds pass
//	x          a request is refused
//	=STATE     the breaker is in this state
func TestBreaker(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*BreakerPolicy)
		script string
		told   string
	}{
		{"failures in a row", nil, "s f f s f f =closed f =open x", "closed>open: 3 failures in a row"},
		{"neutral ones neither count nor interrupt", nil, "f n f n =closed f =open", "closed>open: 3 failures in a row"},
		{"no failures in a row are too many", func(p *BreakerPolicy) { p.FailureThreshold = 0 },
			strings.Repeat("f ", 50) + "=closed", ""},
		{"it recovers", nil, "f f f +9 x +1 ( =half-open x )s =closed s s",
			"closed>open: 3 failures in a row; open>half-open: its recovery time is over; half-open>closed: 1 probes succeeded"},
		{"a probe fails", nil, "f f f +10 f =open x +9 x +1 s =closed",
			"closed>open: 3 failures in a row; open>half-open: its recovery time is over; half-open>open: a probe failed; " +
				"open>half-open: its recovery time is over; half-open>closed: 1 probes succeeded"},
		{"a probe that tells nothing makes room for another", nil, "f f f +10 ( x )n =half-open s =closed",
			"closed>open: 3 failures in a row; open>half-open: its recovery time is over; half-open>closed: 1 probes succeeded"},
		{"several probes", func(p *BreakerPolicy) { p.HalfOpenRequests = 3 }, "f f f +10 ( ( ( x )s )s =half-open x )s =closed",
			"closed>open: 3 failures in a row; open>half-open: its recovery time is over; half-open>closed: 3 probes succeeded"},
		{"one of several fails", func(p *BreakerPolicy) { p.HalfOpenRequests = 3 }, "f f f +10 ( ( ( )s )f =open x )s =open",
			"closed>open: 3 failures in a row; open>half-open: its recovery time is over; half-open>open: a probe failed"},
		{"what began before does not count", nil, "( ( ( f f f =open )s =open +10 ( )f =half-open )s )s =closed f f =closed",
			"closed>open: 3 failures in a row; open>half-open: its recovery time is over; half-open>closed: 1 probes succeeded"},
		{"failures in a row begin anew", nil, "f f f +10 s =closed f f =closed s f f =closed f =open",
			"closed>open: 3 failures in a row; open>half-open: its recovery time is over; half-open>closed: 1 probes succeeded; " +
				"closed>open: 3 failures in a row"},
		{"a ratio", ratio, "f s f s f s f s f =closed s s =closed f =open x", "closed>open: 6 of 12 requests failed in 10s"},
		{"a ratio of too few", ratio, "f f f f f f f f f =closed", ""},
		{"old failures are forgotten", ratio, strings.Repeat("f ", 9) + "+12 f " + strings.Repeat("s ", 11) + "=closed", ""},
		{"a ratio begins anew", ratio, strings.Repeat("f ", 10) + "=open +10 s =closed f f f f f f f f f =closed f =open",
			"closed>open: 10 of 10 requests failed in 10s; open>half-open: its recovery time is over; " +
				"half-open>closed: 1 probes succeeded; closed>open: 10 of 10 requests failed in 10s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := breakerPolicy()
			if c.change != nil {
				c.change(&p)
			}
			var told []string
			b := newBreaker(&p, func(from, to BreakerState, why string) {
				told = append(told, fmt.Sprintf("%v>%v: %s", from, to, why))
			})
			playBreaker(t, b, c.script)
			if got := strings.Join(told, "; "); got != c.told {
				t.Errorf("told\n\t%s\nwant\n\t%s", got, c.told)
			}
		})
	}
}

func ratio(p *BreakerPolicy) { p.FailureThreshold, p.FailureRatio, p.MinRequests = 0, 0.5, 10 }

func playBreaker(t *testing.T, b *breaker, script string) {
	t.Helper()
	now := reactor.Instant(time.Hour)
	outcomes := map[byte]Outcome{'s': Success, 'f': Failure, 'n': Neutral}
	var running []Pass
	for i, word := range strings.Fields(script) {
		at := fmt.Sprintf("word %d, %s", i+1, word)
		switch word[0] {
		case '+':
			seconds := 0
			fmt.Sscan(word[1:], &seconds)
			now = now.Add(time.Duration(seconds) * time.Second)
		case '=':
			if got := stateOf(b.word.Load()).String(); got != word[1:] {
				t.Fatalf("%s: it is %s", at, got)
			}
		case ')':
			b.leave(now, running[0], outcomes[word[1]])
			running = running[1:]
		default:
			takes := b.takes(now)
			pass := b.enter(now)
			if (pass != Refused) != takes || takes == (word[0] == 'x') {
				t.Fatalf("%s: takes %v, pass %d", at, takes, pass)
			}
			if word[0] == '(' {
				running = append(running, pass)
			} else if pass != Refused {
				b.leave(now, pass, outcomes[word[0]])
			}
		}
	}
}

// The same settings give the same breaker as long as somebody has it, other settings another.
func TestServiceBreaker(t *testing.T) {
	var events []string
	s := NewService("s", &Options{}, func(e Event) {
		of := "service"
		if e.Target != nil {
			of = e.Target.ID
		}
		events = append(events, fmt.Sprintf("%s %s: %s>%s", of, e.Breaker, e.From, e.To))
	})
	set := targetsOf(1, 1)
	s.SetTargets(set)
	b := s.Breaker(breakerPolicy())
	for range 3 {
		b.Leave(1, b.Enter(1), Failure)
		one := b.server(set[1])
		one.leave(1, one.enter(1), Failure)
	}
	again := s.Breaker(breakerPolicy())
	if again != b || again.Enter(2) != Refused || again.RetryAfter(1) != 10*time.Second ||
		again.RetryAfter(reactor.Instant(time.Minute)) != time.Second {
		t.Errorf("the same settings give %p with RetryAfter %v, want %p, open", again, again.RetryAfter(1), b)
	}
	other := breakerPolicy()
	other.FailureThreshold = 4
	if s.Breaker(other) == b {
		t.Error("other settings give the same breaker")
	}
	if got := strings.Join(events, "; "); got != "service b: closed>open; http://server-1 b: closed>open" &&
		got != "http://server-1 b: closed>open; service b: closed>open" {
		t.Errorf("told %s", got)
	}
	want := BreakerStatus{Name: "b", State: BreakerOpen, OpenFor: 10*time.Second - 1, Opened: 1}
	if got := s.Breakers(2)[0]; got != want {
		t.Errorf("the service's status is %+v, want %+v", got, want)
	}
	if got := set[1].Status(2).Breakers[0]; got != want {
		t.Errorf("the target's status is %+v, want %+v", got, want)
	}
	if got := set[0].Status(2).Breakers[0].State; got != BreakerClosed {
		t.Errorf("the other target's breaker is %v", got)
	}
	if !b.Fails(503) || b.Fails(404) {
		t.Error("statuses that are failures are not those of the settings")
	}
	runtime.KeepAlive(again)
	b, again = nil, nil
	runtime.GC()
	if n := len(s.breakers()); n != 0 {
		t.Errorf("%d breakers are kept for nobody", n)
	}
}

// Many goroutines: while half-open no more probes run than may, and each state is left by one event.
func TestBreakerTogether(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	p := breakerPolicy()
	p.HalfOpenRequests, p.Recovery = 2, time.Microsecond
	before := BreakerClosed
	b := newBreaker(&p, func(from, to BreakerState, _ string) {
		if from != before || from == to {
			t.Errorf("%v becomes %v after %v", from, to, before)
		}
		before = to
	})
	var all sync.WaitGroup
	for g := range uint64(4) {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, g))
			for i := range 5000 {
				now := reactor.Instant(i) * 1000
				pass := b.enter(now)
				if pass == Refused {
					continue
				}
				if n := int(b.admitted.Load()); pass.probes() && uint64(pass) == b.word.Load() && n > p.HalfOpenRequests {
					t.Errorf("%d probes", n)
				}
				b.leave(now, pass, Outcome(rnd.IntN(3)))
			}
		})
	}
	all.Wait()
	if b.opened.Load() == 0 {
		t.Error("it never opened")
	}
}

// A server whose breaker is open gets nothing; a probe goes to it when its time is over, and only one.
func TestOpenPassesBreakers(t *testing.T) {
	b := newBed(t, 2, nil)
	p := breakerPolicy()
	p.FailureThreshold = 1
	q := &Query{Breaker: b.service.Breaker(p)}
	fail := func(want int) {
		t.Helper()
		b.answers(q, want, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
	}
	fail(0)
	for range 3 {
		b.answers(q, 1, ok)
	}
	b.answers(&Query{}, 0, ok) // who has no breaker does not mind
	fail(1)
	x := b.query(q)
	x.hears("failed: " + errBroken.Cause.Error())
	x.release()
	b.loop.Advance(p.Recovery)
	probes := []*caller{b.query(q), b.query(q)}
	third := b.query(q)
	third.hears("failed: " + errBroken.Cause.Error())
	third.release()
	for _, probe := range probes {
		probe.hears("ready")
		probe.release() // tells nothing
	}
	first, second := b.query(q), b.query(q)
	first.hears("ready")
	second.hears("ready")
	at := func(c *caller) *origin { return b.originOf(c) }
	at(first).conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")) // the head is enough
	first.hears("head 200")
	at(second).conn.Abort()
	second.hears("failed: " + errClosed.Cause.Error())
	states := map[BreakerState]int{}
	for _, x := range b.targets {
		states[x.Status(b.loop.Now()).Breakers[0].State]++
	}
	if states[BreakerClosed] != 1 || states[BreakerOpen] != 1 {
		t.Errorf("breakers are %v", states)
	}
	first.release()
	second.release()
	b.clean()
}

// query opens an attempt as asked.
func (b *bed) query(q *Query) *caller {
	c := &caller{bed: b}
	c.request.Reset()
	c.request.Version, c.request.Method = codec.HTTP11, codec.MethodGet
	c.name = fmt.Sprint("q", len(b.seen), "-", len(b.origins), "-", b.queries)
	b.queries++
	c.request.Path, c.request.Authority = []byte("/"+c.name), []byte("h")
	c.attempt = b.service.Open(b.pools, q, c)
	b.seen[c.attempt] = true
	return c
}

// originOf is the server's end that received a caller's request.
func (b *bed) originOf(c *caller) *origin {
	b.t.Helper()
	b.loop.Run()
	for _, o := range b.origins {
		if strings.Contains(o.got, "GET /"+c.name+" ") {
			return o
		}
	}
	b.t.Fatalf("no server received %s", c.name)
	return nil
}

// answers has one request answered, which must go to this server.
func (b *bed) answers(q *Query, want int, reply string) {
	b.t.Helper()
	c := b.query(q)
	if got := c.attempt.Target(); got != b.targets[want] {
		b.t.Fatalf("the attempt is to %v, want %v", got, b.targets[want].ID)
	}
	b.originOf(c).conn.Write([]byte(reply))
	b.loop.Run()
	if n := len(c.heard); n == 0 || !strings.HasSuffix(c.heard[n-1], "end") {
		b.t.Fatalf("the caller heard %q", c.heard)
	}
	c.release()
}
