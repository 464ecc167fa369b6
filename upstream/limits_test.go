package upstream

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// fullLoop has no room for another connection while full is set, which says why.
type fullLoop struct {
	*watchedLoop
	full error
}

// spent is a connection that was never opened.
type spent struct{ reactor.Conn }

func (spent) Abort()      {}
func (spent) Unsent() int { return 0 }

func (l *fullLoop) Dial(a reactor.Addr, s reactor.Sink) reactor.Conn {
	if l.full == nil {
		return l.watchedLoop.Dial(a, s)
	}
	why := l.full
	l.Defer(func() { s.OnClosed(why) })
	return spent{}
}

// That there is no descriptor or port left for a connection is no server's fault: none is left out for it.
func TestNoSocketIsNoServersFault(t *testing.T) {
	b := newBed(t, 2, func(o *Options) {
		o.Outlier = &OutlierPolicy{ConsecutiveErrors: 1, BaseEjection: time.Minute, MaxEjectedPercent: 100}
	})
	p := BreakerPolicy{Name: "b", FailureThreshold: 1, Recovery: time.Minute, HalfOpenRequests: 1}
	breaker := b.service.Breaker(p)
	loop := &fullLoop{watchedLoop: b.loop}
	b.pools = NewPools(loop, NewGroup(1), 0, func(*Service) Meter { return b.meter })
	for _, loop.full = range []error{reactor.ErrDescriptors, os.NewSyscallError("socket", unix.EMFILE),
		os.NewSyscallError("connect", unix.EADDRNOTAVAIL)} {
		c := &caller{bed: b, name: "x"}
		c.attempt = b.service.Open(b.pools, &Query{Breaker: breaker}, c)
		b.seen[c.attempt] = true
		b.loop.Run()
		if c.err == nil || c.err.Side != codec.Internal || c.err.Status != 503 {
			t.Fatalf("the attempt ended with %v", c.err)
		}
		c.release()
	}
	for i, x := range b.targets {
		st := x.Status(b.loop.Now())
		if st.State != TargetUp || st.Failed != 0 || st.Breakers[0].State != BreakerClosed {
			t.Errorf("server %d: %+v", i, st)
		}
	}
	loop.full = nil
	b.answered("later", 0)
	b.clean()
}

// What a server sends before any of the request has left is no response to it. The request goes on as if the server had
// closed the connection.
func TestResponseBeforeTheRequestLeft(t *testing.T) {
	b := newBed(t, 1, nil)
	b.answered("first", 0)
	second := b.openWith("second", func(c *caller) { c.request.Method = codec.MethodPost })
	late := strings.Repeat("a", 20<<10) // so much that it leaves at once
	b.origins[0].conn.Write([]byte("HTTP/1.1 408 Request Timeout\r\nContent-Length: 20480\r\nConnection: close\r\n\r\n" + late))
	second.hears("ready", "failed: "+errUnsent.Cause.Error())
	second.release()
	b.clean()
}
