package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// desk stands for the name server and the clock: the resolver's goroutines come to it with a lookup or a wait, and the
// test answers. Nothing goes on without the test.
type desk struct {
	t        testing.TB
	lookups  chan question
	sleeps   chan wait
	changes  chan string
	resolver *Resolver
}

// question is a lookup that waits for its answer.
type question struct {
	host   string
	answer chan answer
}

type answer struct {
	addrs []netip.Addr
	err   error
}

// wait is a sleep that waits for its end.
type wait struct {
	d    time.Duration
	over chan struct{}
}

func newDesk(t testing.TB, refresh time.Duration) *desk {
	d := &desk{t: t, lookups: make(chan question), sleeps: make(chan wait), changes: make(chan string, 100)}
	d.resolver = NewResolver(d.lookup, d.sleep, refresh, func(host string, addrs []netip.Addr) {
		d.changes <- fmt.Sprint(host, addrs)
	})
	t.Cleanup(d.resolver.Stop)
	return d
}

func (d *desk) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	q := question{host, make(chan answer)}
	select {
	case d.lookups <- q:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	a := <-q.answer
	return a.addrs, a.err
}

func (d *desk) sleep(ctx context.Context, duration time.Duration) error {
	w := wait{duration, make(chan struct{})}
	select {
	case d.sleeps <- w:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-w.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch begins to watch host without waiting for its first lookup.
func (d *desk) watch(host string) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	d.resolver.Watch(ended, host)
}

// turn answers the next lookup, with addresses or an error, and returns the wait that follows it.
func (d *desk) turn(reply string) wait {
	d.t.Helper()
	(<-d.lookups).answer <- parse(reply)
	return <-d.sleeps
}

// parse reads addresses between blanks, or an error behind "!".
func parse(reply string) (a answer) {
	if text, failed := strings.CutPrefix(reply, "!"); failed {
		return answer{err: errors.New(text)}
	}
	for _, s := range strings.Fields(reply) {
		a.addrs = append(a.addrs, netip.MustParseAddr(s))
	}
	return a
}

// told is what onChange was called with since the last call of told.
func (d *desk) told() (all []string) {
	for len(d.changes) > 0 {
		all = append(all, <-d.changes)
	}
	return all
}

// A dialogue: what each lookup answers, what onChange and Addresses say then, and how long the next wait is.
func TestResolver(t *testing.T) {
	type step struct {
		reply   string
		told    string
		have    string
		err     string
		seconds int // of the wait, to 10 %
	}
	for _, c := range []struct {
		name    string
		refresh time.Duration
		steps   []step
	}{
		{"unchanged answers are not told", 0, []step{
			{"192.0.2.1", "h[192.0.2.1]", "[192.0.2.1]", "", 30},
			{"192.0.2.1", "", "[192.0.2.1]", "", 30},
			{"192.0.2.2", "h[192.0.2.2]", "[192.0.2.2]", "", 30},
		}},
		{"sorted, none twice, one notation", 0, []step{
			{"192.0.2.9 2001:db8::1 192.0.2.1 192.0.2.9", "h[192.0.2.1 192.0.2.9 2001:db8::1]",
				"[192.0.2.1 192.0.2.9 2001:db8::1]", "", 30},
			{"2001:db8::1 ::ffff:192.0.2.1 192.0.2.9", "", "[192.0.2.1 192.0.2.9 2001:db8::1]", "", 30},
		}},
		{"stale addresses stay, retries back off", 0, []step{
			{"192.0.2.1", "h[192.0.2.1]", "[192.0.2.1]", "", 30},
			{"!no answer", "", "[192.0.2.1]", "no answer", 1},
			{"!no answer", "", "[192.0.2.1]", "no answer", 2},
			{"!no such name", "", "[192.0.2.1]", "no such name", 4},
			{"!no answer", "", "[192.0.2.1]", "no answer", 8},
			{"!no answer", "", "[192.0.2.1]", "no answer", 16},
			{"!no answer", "", "[192.0.2.1]", "no answer", 30},
			{"!no answer", "", "[192.0.2.1]", "no answer", 30},
			{"192.0.2.1", "", "[192.0.2.1]", "", 30},
			{"!no answer", "", "[192.0.2.1]", "no answer", 1},
		}},
		{"a name that resolves late", 0, []step{
			{"!no such name", "", "[]", "no such name", 1},
			{"!no such name", "", "[]", "no such name", 2},
			{"192.0.2.1", "h[192.0.2.1]", "[192.0.2.1]", "", 30},
		}},
		{"an empty answer is a failure", 0, []step{
			{"", "", "[]", "the name has no address", 1},
			{"192.0.2.1", "h[192.0.2.1]", "[192.0.2.1]", "", 30},
			{"", "", "[192.0.2.1]", "the name has no address", 1},
		}},
		{"another interval", 100 * time.Second, []step{{"192.0.2.1", "h[192.0.2.1]", "[192.0.2.1]", "", 100}}},
		{"an interval under the floor", time.Millisecond, []step{{"192.0.2.1", "h[192.0.2.1]", "[192.0.2.1]", "", 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, c.refresh)
			d.watch("h")
			for i, s := range c.steps {
				w := d.turn(s.reply)
				if got := strings.Join(d.told(), " "); got != s.told {
					t.Errorf("step %d: told %q, want %q", i, got, s.told)
				}
				addrs, err := d.resolver.Addresses("h")
				if got := fmt.Sprint(addrs); got != s.have || (err != nil || s.err != "") && fmt.Sprint(err) != s.err {
					t.Errorf("step %d: has %s and error %v, want %s and %q", i, got, err, s.have, s.err)
				}
				mean := time.Duration(s.seconds) * time.Second
				if w.d < max(mean*9/10, time.Second) || w.d > mean*11/10 {
					t.Errorf("step %d: waits %v, want about %v", i, w.d, mean)
				}
				close(w.over)
			}
		})
	}
}

// Waits differ from one to the next, within 10 % and never under a second.
func TestJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	low, high := time.Hour, time.Duration(0)
	for range 2000 {
		d := jitter(30 * time.Second)
		seen[d] = true
		low, high = min(low, d), max(high, d)
		if s := jitter(time.Second); s < time.Second || s > 1100*time.Millisecond {
			t.Fatalf("a second became %v", s)
		}
	}
	if low < 27*time.Second || high > 33*time.Second {
		t.Errorf("30 s became %v to %v", low, high)
	}
	if low > 28*time.Second || high < 32*time.Second || len(seen) < 1000 {
		t.Errorf("30 s became %d values between %v and %v only", len(seen), low, high)
	}
}

// Watch returns when every host has had its first answer, good or bad.
func TestWatchWaits(t *testing.T) {
	d := newDesk(t, 0)
	done := make(chan struct{})
	go func() {
		d.resolver.Watch(context.Background(), "good", "bad")
		close(done)
	}()
	for range 2 {
		q := <-d.lookups
		select {
		case <-done:
			t.Fatal("Watch returned before the answers")
		default:
		}
		q.answer <- parse(map[string]string{"good": "192.0.2.1", "bad": "!no such name"}[q.host])
	}
	<-done
	if addrs, err := d.resolver.Addresses("good"); len(addrs) != 1 || err != nil {
		t.Errorf("good has %v, %v", addrs, err)
	}
	if addrs, err := d.resolver.Addresses("bad"); addrs != nil || err == nil {
		t.Errorf("bad has %v, %v", addrs, err)
	}
	if addrs, err := d.resolver.Addresses("other"); addrs != nil || err == nil {
		t.Errorf("a host that is not watched has %v, %v", addrs, err)
	}
}

// A name server that does not answer delays the start by the caller's bound only, and a lookup has a bound of its own.
func TestSilentNameServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		began := time.Now()
		silent := func(ctx context.Context, host string) ([]netip.Addr, error) {
			asked = append(asked, time.Since(began))
			<-ctx.Done()
			return nil, ctx.Err()
		}
		r := NewResolver(silent, SystemSleep, 0, func(string, []netip.Addr) { t.Error("told of a change") })
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		r.Watch(ctx, "h")
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("Watch took %v", took)
		}
		r.Watch(t.Context(), "h")
		if took := time.Since(began); took != lookupTime {
			t.Errorf("the first lookup took %v", took)
		}
		r.Stop()
		if _, err := r.Addresses("h"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if len(asked) != 1 || asked[0] != 0 {
			t.Errorf("asked at %v", asked)
		}
	})
}

// In real waits, over an hour of virtual time, a name is asked for about every 30 s.
func TestRefreshOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		hour, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r := NewResolver(func(context.Context, string) ([]netip.Addr, error) {
			asked++
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		}, SystemSleep, 0, func(string, []netip.Addr) {})
		r.Watch(t.Context(), "h")
		<-hour.Done()
		r.Stop()
		if asked < 109 || asked > 134 {
			t.Errorf("asked %d times in an hour", asked)
		}
	})
}

// A host that is watched twice is looked up once and stays until both are taken back.
func TestWatchIsCounted(t *testing.T) {
	d := newDesk(t, 0)
	d.watch("h")
	d.watch("h")
	d.turn("192.0.2.1")
	d.resolver.Unwatch("h")
	if addrs, err := d.resolver.Addresses("h"); len(addrs) != 1 || err != nil {
		t.Errorf("after one Unwatch of two: %v, %v", addrs, err)
	}
	d.resolver.Unwatch("h", "never watched")
	d.resolver.running.Wait() // the goroutine ends without Stop
	if addrs, err := d.resolver.Addresses("h"); addrs != nil || err == nil {
		t.Errorf("after the last Unwatch: %v, %v", addrs, err)
	}
}

// An answer that comes after Unwatch is not told.
func TestLateAnswerIsNotTold(t *testing.T) {
	d := newDesk(t, 0)
	d.watch("h")
	q := <-d.lookups
	d.resolver.Unwatch("h")
	q.answer <- parse("192.0.2.1")
	d.resolver.running.Wait()
	if got := d.told(); got != nil {
		t.Errorf("told %v", got)
	}
}

// Stop ends goroutines that look up and that wait; Watch afterwards does nothing.
func TestStop(t *testing.T) {
	d := newDesk(t, 0)
	d.watch("waiting")
	d.turn("192.0.2.1")
	d.watch("looking")
	q := <-d.lookups
	stopped := make(chan struct{})
	go func() {
		d.resolver.Stop()
		close(stopped)
	}()
	<-d.resolver.ctx.Done()
	q.answer <- parse("192.0.2.2")
	<-stopped
	if got := d.told(); !slices.Equal(got, []string{"waiting[192.0.2.1]"}) {
		t.Errorf("told %v", got)
	}
	d.resolver.Watch(context.Background(), "late")
	if _, err := d.resolver.Addresses("late"); err == nil {
		t.Error("a stopped resolver watches")
	}
}

// Calls of onChange never overlap, and lookups have a bound.
func TestChangesDoNotOverlap(t *testing.T) {
	var busy sync.Mutex
	calls := 0
	r := NewResolver(func(ctx context.Context, host string) ([]netip.Addr, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("a lookup without a bound")
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
	}, SystemSleep, 0, func(string, []netip.Addr) {
		if !busy.TryLock() {
			t.Error("two calls of onChange at once")
			return
		}
		calls++
		busy.Unlock()
	})
	hosts := make([]string, 50)
	for i := range hosts {
		hosts[i] = fmt.Sprint("host-", i)
	}
	r.Watch(context.Background(), hosts...)
	r.Stop()
	if calls != len(hosts) {
		t.Errorf("%d calls for %d names", calls, len(hosts))
	}
}
