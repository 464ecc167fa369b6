package upstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// outlierBed is a service of these targets and what it says of them.
func outlierBed(p *OutlierPolicy, targets int) (s *Service, set []*Target, told func() string) {
	var events []string
	s = NewService("s", &Options{Outlier: p}, func(e Event) {
		events = append(events, fmt.Sprintf("%s %v: %s", e.Target.ID[len("http://server-"):], e.What, e.Why))
	})
	set = targetsOf(same(1, targets)...)
	s.SetTargets(set)
	return s, set, func() string {
		all := strings.Join(events, "; ")
		events = nil
		return all
	}
}

func outlierPolicy() *OutlierPolicy {
	return &OutlierPolicy{ConsecutiveErrors: 3, BaseEjection: 30 * time.Second, MaxEjectedPercent: 50}
}

func TestEjection(t *testing.T) {
	p := outlierPolicy()
	s, set, told := outlierBed(p, 3)
	now := reactor.Instant(time.Hour)
	x := set[1]
	s.failed(x, p, now, nil, 500)
	s.failed(x, p, now, nil, 500)
	x.succeeded()
	s.failed(x, p, now, nil, 500)
	s.failed(x, p, now, nil, 500)
	if got := told(); got != "" {
		t.Errorf("told %q though there was a success", got)
	}
	s.failed(x, p, now, errRefused, 0)
	want := "1 ejected: for 30s: 3 consecutive errors, the last: " + errRefused.Error()
	if got := told(); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	for range 10 {
		s.failed(x, p, now, errRefused, 0) // of requests that it had already
	}
	if st := x.Status(now.Add(10 * time.Second)); st.State != TargetEjected || st.EjectedFor != 20*time.Second ||
		st.Ejections != 1 || !st.Healthy {
		t.Errorf("the status is %+v", st)
	}
	if st := x.Status(now.Add(30 * time.Second)); st.State != TargetUp || st.EjectedFor != 0 {
		t.Errorf("after its time the status is %+v", st)
	}
	if got := told(); got != "1 returned: its time is over" {
		t.Errorf("told %q", got)
	}
}

// An ejection that follows closely is longer, up to ten times; after a good while it is as short as the first.
func TestEjectionsInARow(t *testing.T) {
	p := outlierPolicy()
	s, set, _ := outlierBed(p, 2)
	now := reactor.Instant(time.Hour)
	eject := func() time.Duration {
		for range p.ConsecutiveErrors {
			s.failed(set[0], p, now, nil, 502)
		}
		return set[0].Status(now).EjectedFor
	}
	for n := 1; n <= 12; n++ {
		want := time.Duration(min(n, maxEjectionFactor)) * p.BaseEjection
		if got := eject(); got != want {
			t.Errorf("ejection %d takes %v, want %v", n, got, want)
		}
		now = now.Add(want + 20*time.Second) // it holds out for 20 s
		set[0].Status(now)
	}
	now = now.Add(20 * time.Minute)
	if got := eject(); got != p.BaseEjection {
		t.Errorf("after a good while an ejection takes %v", got)
	}
}

// Never more targets than allowed are out, and one that was spared goes with its next error when there is room.
func TestEjectedShare(t *testing.T) {
	for _, c := range []struct{ targets, percent, want int }{
		{1, 50, 0}, {1, 100, 1}, {2, 10, 1}, {2, 0, 0}, {2, 50, 1}, {3, 50, 1}, {4, 50, 2}, {5, 50, 2}, {10, 33, 3}, {4, 100, 4},
	} {
		p := outlierPolicy()
		p.MaxEjectedPercent = c.percent
		s, set, _ := outlierBed(p, c.targets)
		now := reactor.Instant(time.Hour)
		for range p.ConsecutiveErrors {
			for _, x := range set {
				s.failed(x, p, now, errRefused, 0)
			}
		}
		out := func() (n int) {
			for _, x := range set {
				if x.Status(now).State == TargetEjected {
					n++
				}
			}
			return n
		}
		if got := out(); got != c.want {
			t.Errorf("of %d targets with at most %d %%: %d are out, want %d", c.targets, c.percent, got, c.want)
		}
		if c.want == 0 || c.want == c.targets {
			continue
		}
		now = now.Add(p.BaseEjection)
		last := set[c.targets-1]
		if out(); last.Status(now).State != TargetUp {
			t.Errorf("of %d targets with at most %d %%: the last was not spared", c.targets, c.percent)
		}
		s.failed(last, p, now, errRefused, 0)
		if last.Status(now).State != TargetEjected {
			t.Errorf("of %d targets with at most %d %%: the last is spared although others are back", c.targets, c.percent)
		}
	}
}

// Without a policy nothing stays ejected.
func TestEjectionIsGivenUp(t *testing.T) {
	p := outlierPolicy()
	s, set, told := outlierBed(p, 2)
	for range p.ConsecutiveErrors {
		s.failed(set[0], p, 1, errRefused, 0)
	}
	told()
	s.SetOptions(&Options{})
	if got := told(); got != "0 returned: servers are no longer ejected" || set[0].Status(1).State != TargetUp {
		t.Errorf("told %q, the target is %v", got, set[0].Status(1).State)
	}
}

// What an attempt tells of its server: errors in a row, as counted after the attempt.
func TestJudgement(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(b *bed)
		want int32 // errors in a row, after one before
	}{
		{"200", func(b *bed) { b.answers(&Query{}, 0, ok) }, 0},
		{"404", func(b *bed) { b.answers(&Query{}, 0, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n") }, 0},
		{"500", func(b *bed) { b.answers(&Query{}, 0, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") }, 2},
		{"no response", func(b *bed) { b.fails(func(o *origin) { o.conn.Close(false) }, errClosed) }, 2},
		{"reset", func(b *bed) { b.fails(func(o *origin) { o.conn.Abort() }, errClosed) }, 2},
		{"a part of a response", func(b *bed) {
			b.fails(func(o *origin) {
				o.conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"))
				o.conn.Close(false)
			}, errTruncated)
		}, 2},
		{"silence", func(b *bed) { b.fails(func(*origin) { b.loop.Advance(21 * time.Second) }, errHeadTimeout) }, 2},
		{"refused", func(b *bed) {
			b.loop.Unlisten(originAddr(0))
			c := b.open("x")
			c.hears("failed: " + errRefused.Cause.Error())
			c.release()
		}, 2},
		{"cancelled", func(b *bed) {
			c := b.open("x")
			c.hears("ready")
			c.release()
		}, 1},
		{"cancelled inside the response", func(b *bed) {
			c := b.query(&Query{})
			b.originOf(c).conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"))
			c.hears("ready", "head 200")
			c.release()
		}, 0},
		{"an idle connection ended", func(b *bed) {
			b.answers(&Query{}, 0, ok)
			b.targets[0].errors.Store(1)
			b.fails(func(o *origin) { o.conn.Close(false) }, errIdleRace)
		}, 1},
		{"the queue was full", func(b *bed) {
			first, second := b.open("first"), b.open("second")
			b.loop.Advance(1100 * time.Millisecond)
			second.hears("failed: " + errQueueTimeout.Cause.Error())
			second.release()
			first.release()
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, 1, func(o *Options) { o.Outlier, o.MaxConnections = outlierPolicy(), 1 })
			b.targets[0].errors.Store(1)
			c.play(b)
			if got := b.targets[0].errors.Load(); got != c.want {
				t.Errorf("%d errors in a row, want %d", got, c.want)
			}
			b.clean()
		})
	}
}

// fails opens an attempt that ends with an error after what the server does to its connection.
func (b *bed) fails(act func(*origin), want *codec.Error) {
	b.t.Helper()
	c := b.query(&Query{})
	act(b.originOf(c))
	b.loop.Run()
	if c.err != want {
		b.t.Errorf("the attempt ended with %v, want %v", c.err, want)
	}
	c.release()
}

// A server that fails is left out, and comes back by itself.
func TestOpenEjects(t *testing.T) {
	b := newBed(t, 2, func(o *Options) { o.Outlier = outlierPolicy() })
	for range 3 {
		b.answers(&Query{Tried: b.targets[1:]}, 0, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
	}
	for range 4 {
		b.answers(&Query{}, 1, ok)
	}
	b.answers(&Query{Tried: b.targets[1:]}, 1, ok)             // better twice than one that is out
	b.answers(&Query{Tried: b.targets[1:], Lost: true}, 0, ok) // which is better than one that is not there
	b.targets[0].SetDraining(true)
	b.answers(&Query{Tried: b.targets[1:], Lost: true}, 1, ok)
	b.targets[0].SetDraining(false)
	b.loop.Advance(31 * time.Second)
	b.answers(&Query{}, 0, ok)
	b.answers(&Query{}, 1, ok)
	b.clean()
}

// The times that an attempt tells of, and its own time limit.
func TestAttemptTimes(t *testing.T) {
	b := newBed(t, 1, func(o *Options) { o.MaxConnections = 1 })
	b.loop.Net.Delay = 10 * time.Millisecond
	first := b.query(&Query{})
	first.hears("ready")
	if q, c := first.attempt.Queued(), first.attempt.Connected(); q != 0 || c <= 0 {
		t.Errorf("queued for %v, connected in %v", q, c)
	}
	second := b.query(&Query{Timeout: 10 * time.Second})
	b.loop.Advance(500 * time.Millisecond)
	b.originOf(first).conn.Write([]byte(ok))
	first.hears("head 200", "data hi end")
	first.release()
	second.hears("ready")
	if q, c := second.attempt.Queued(), second.attempt.Connected(); q < 500*time.Millisecond || q > 600*time.Millisecond || c != 0 {
		t.Errorf("queued for %v, connected in %v", q, c)
	}
	third := b.query(&Query{Timeout: 100 * time.Millisecond})
	b.loop.Advance(150 * time.Millisecond)
	third.hears("failed: " + errAttemptTimeout.Cause.Error())
	third.release()
	b.loop.Advance(9200 * time.Millisecond) // the queue counted
	second.hears()
	b.loop.Advance(200 * time.Millisecond)
	second.hears("failed: " + errHeadTimeout.Cause.Error())
	second.release()
	b.loop.Hang(originAddr(0))
	fourth := b.query(&Query{Timeout: 50 * time.Millisecond})
	b.loop.Advance(100 * time.Millisecond)
	fourth.hears("failed: " + errConnectTimeout.Cause.Error())
	fourth.release()
	b.clean()
}
