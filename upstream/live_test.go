package upstream

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// liveBed is a service of one target on a real loop.
type liveBed struct {
	t       testing.TB
	loop    *reactor.EventLoop
	pools   *Pools
	service *Service
	target  *Target
	meter   tally // of the loop
}

func newLiveBed(t testing.TB, p Protocol, addr reactor.Addr, host string, change func(*Options)) *liveBed {
	t.Helper()
	o := bedOptions()
	if change != nil {
		change(&o)
	}
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b := &liveBed{t: t, loop: loop, service: NewService("s", &o, nil), target: NewTarget("t", addr, host, 1)}
	b.target.Protocol = p
	b.service.SetTargets([]*Target{b.target})
	b.pools = NewPools(loop, NewGroup(1), 1, func(*Service) Meter { return &b.meter })
	var running sync.WaitGroup
	running.Go(func() {
		if err := loop.Run(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		b.on(b.pools.Close)
		if n := b.target.Open(); n != 0 {
			t.Errorf("%d connections are open", n)
		}
		if n := b.target.InFlight(); n != 0 {
			t.Errorf("%d requests are in flight", n)
		}
		loop.Shutdown()
		running.Wait()
	})
	return b
}

// on runs f on the loop and waits for it.
func (b *liveBed) on(f func()) {
	b.t.Helper()
	done := make(chan struct{})
	b.loop.Post(func() { f(); close(done) })
	await(b.t, done, "the loop")
}

func await[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited for %s in vain", what)
		panic("unreachable")
	}
}

// talk is a request on a live loop, and a Receiver: what it hears goes to a channel.
type talk struct {
	bed     *liveBed
	request codec.Head
	content string // sent at once; the caller sends the rest
	open    bool   // the request does not end with it
	shape   Shape
	attempt *Attempt
	stream  codec.Stream
	events  chan string
	err     *codec.Error // of "failed"
}

// begin opens a request; prepare may change it before.
func (b *liveBed) begin(method codec.Method, path string, prepare func(*talk)) *talk {
	x := &talk{bed: b, events: make(chan string, 1000)}
	x.request.Reset()
	x.request.Version, x.request.Method, x.request.MethodName = codec.HTTP11, method, []byte(method.String())
	x.request.Path, x.request.Target, x.request.Authority = []byte(path), []byte(path), []byte("client.example")
	if prepare != nil {
		prepare(x)
	}
	b.on(func() { x.attempt = b.service.Open(b.pools, &Query{Shape: x.shape}, x) })
	return x
}

func (x *talk) Ready(s codec.Stream) {
	x.stream = s
	whole := x.content == "" && !x.open
	s.Head(&x.request, whole)
	if x.content != "" {
		s.Data([]byte(x.content), !x.open)
	}
}

func (x *talk) Head(h *codec.Head, end bool) { x.tell(fmt.Sprint("head ", h.Status), end) }
func (x *talk) Data(p []byte, end bool)      { x.tell("data "+string(p), end) }
func (x *talk) Trailers(t []codec.Field) {
	text := "trailers"
	for _, f := range t {
		text += fmt.Sprintf(" %s=%s", f.Name, f.Value)
	}
	x.tell(text, false)
}
func (x *talk) Drained() {}
func (x *talk) Failed(e *codec.Error) {
	x.err = e
	x.tell("failed: "+e.Error(), false)
}

func (x *talk) tell(event string, end bool) {
	if end {
		event += " end"
	}
	x.events <- event
}

// hear is the next event.
func (x *talk) hear() string {
	x.bed.t.Helper()
	return await(x.bed.t, x.events, "an event")
}

// finish reads on to the end of the response and releases the attempt. Content that comes in pieces is one event.
func (x *talk) finish() string {
	x.bed.t.Helper()
	var all []string
	for last := false; !last; {
		e := x.hear()
		last = strings.HasSuffix(e, " end") || strings.HasPrefix(e, "trailers") || strings.HasPrefix(e, "failed")
		if n := len(all); n > 0 && strings.HasPrefix(all[n-1], "data ") && strings.HasPrefix(e, "data ") {
			all[n-1] += strings.TrimPrefix(e, "data ")
		} else {
			all = append(all, e)
		}
	}
	x.release()
	return strings.Join(all, ", ")
}

func (x *talk) release() {
	x.bed.t.Helper()
	x.bed.on(x.attempt.Release)
}

// get is what one GET comes to.
func (b *liveBed) get(path string) string {
	b.t.Helper()
	return b.begin(codec.MethodGet, path, nil).finish()
}
