package upstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// The connection that was used last is used next, and connections that are never needed expire.
func TestReuseLastInFirstOut(t *testing.T) {
	b := newBed(t, 1, nil)
	var callers []*caller
	for i := range 3 {
		callers = append(callers, b.open(fmt.Sprint(i)))
		callers[i].hears("ready")
	}
	for _, i := range []int{1, 2, 0} {
		b.origins[i].conn.Write([]byte(ok))
		callers[i].hears("head 200", "data hi end")
		callers[i].release()
		b.loop.Advance(5 * time.Second)
	}
	b.counts(0, 0, 3, 0, 3)
	for _, o := range b.origins {
		o.take()
	}
	b.answered("next", 0)
	if got := b.origins[0].take(); !strings.HasPrefix(got, "GET /next HTTP/1.1\r\nHost: h\r\n") {
		t.Fatalf("the last connection received %q", got)
	}
	if b.meter.reused != 1 {
		t.Fatalf("%d connections were reused", b.meter.reused)
	}
	b.loop.Advance(17 * time.Second) // 32 s after the first became idle, 27 and 17 s after the others
	if got := []string{b.origins[0].closed, b.origins[1].closed, b.origins[2].closed}; !slices.Equal(got, []string{"", "end", ""}) {
		t.Fatalf("closed: %q", got)
	}
	b.counts(0, 0, 2, 0, 2)
	b.clean()
}

func TestServerClosesIdleConnection(t *testing.T) {
	for name, end := range map[string]func(reactor.Conn){
		"end":   func(c reactor.Conn) { c.Close(false) },
		"reset": reactor.Conn.Abort,
		"bytes": func(c reactor.Conn) { c.Write([]byte("HTTP/1.1 408 Timeout\r\n\r\n")) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, 1, nil)
			b.answered("first", 0)
			b.counts(0, 0, 1, 0, 1)
			end(b.origins[0].conn)
			b.counts(0, 0, 0, 0, 0)
			second := b.open("second")
			second.hears("ready")
			b.served(2)
			b.origins[1].conn.Write([]byte(ok))
			second.hears("head 200", "data hi end")
			second.release()
			b.clean()
		})
	}
}

// An idle connection ends between the moment a request was given it and the moment the request is told so: nothing was
// sent, so it gets another connection and hears nothing.
func TestIdleConnectionEndsAsItIsTaken(t *testing.T) {
	for name, end := range map[string]func(*h1conn){
		"input": (*h1conn).OnData,
		"reset": func(c *h1conn) { c.conn.Abort(); c.OnClosed(reactor.ErrStopped) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, 1, nil)
			b.answered("first", 0)
			second := b.open("second")
			end(second.attempt.conn.(*h1conn))
			second.hears("ready")
			b.served(2)
			b.origins[1].conn.Write([]byte(ok))
			second.hears("head 200", "data hi end")
			second.release()
			if len(b.meter.failed) > 0 {
				t.Errorf("failures %v", b.meter.failed)
			}
			b.clean()
		})
	}
}

// The server's end crosses a request on an idle connection: what may follow depends on what came back.
func TestIdleRace(t *testing.T) {
	for _, c := range []struct {
		name, reply string
		fresh       bool // the connection carried nothing before
		reset       bool
		want        string
		retry       codec.Retry
	}{
		{"nothing came", "", false, false, "failed: " + errIdleRace.Cause.Error(), codec.RetryIdle},
		{"nothing came, reset", "", false, true, "failed: " + errIdleRace.Cause.Error(), codec.RetryIdle},
		{"some head came", "HTTP/1.1 2", false, false, "failed: " + errTruncated.Cause.Error(), codec.RetryNever},
		{"some head came, reset", "HTTP/1.1 2", false, true, "failed: " + errTruncated.Cause.Error(), codec.RetryNever},
		{"new connection", "", true, false, "failed: " + errClosed.Cause.Error(), codec.RetryUnanswered},
		{"new connection, reset", "", true, true, "failed: " + errClosed.Cause.Error(), codec.RetryUnanswered},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, 1, nil)
			if !c.fresh {
				b.answered("first", 0)
			}
			second := b.open("second")
			second.hears("ready")
			o := b.origins[0]
			o.conn.Write([]byte(c.reply))
			b.loop.Run()
			if c.reset {
				o.conn.Abort()
			} else {
				o.conn.Close(false)
			}
			second.hears(c.want)
			if second.err.Retry != c.retry {
				t.Fatalf("retry %v, want %v", second.err.Retry, c.retry)
			}
			second.release()
			b.clean()
		})
	}
}

// The server's end comes in the turn in which the request was written: it never left, so that it may be repeated whatever
// its method.
func TestEndBeforeTheRequestLeft(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*caller)
		content string
		reset   bool
		want    *codec.Error
	}{
		{"no content", func(c *caller) { c.request.Method = codec.MethodPost }, "", false, errUnsent},
		{"no content, reset", func(c *caller) { c.request.Method = codec.MethodPost }, "", true, errUnsent},
		{"content to come", streaming(codec.ByLength, 10), "", false, errUnsent},
		{"some content", streaming(codec.ByLength, 10), "12345", false, errUnsent},
		{"some chunks, reset", streaming(codec.ByChunks, 0), "12345", true, errUnsent},
		{"so much that it left at once", streaming(codec.ByLength, 1<<20), strings.Repeat("a", 32<<10), false, errIdleRace},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, 1, nil)
			b.answered("first", 0)
			second := b.openWith("second", c.prepare)
			second.react = func(event string) {
				if event == "ready" && c.content != "" {
					second.stream.Data([]byte(c.content), false)
				}
			}
			if c.reset {
				b.origins[0].conn.Abort()
			} else {
				b.origins[0].conn.Close(false)
			}
			second.hears("ready", "failed: "+c.want.Cause.Error())
			if second.err.Retry != c.want.Retry {
				t.Fatalf("retry %v, want %v", second.err.Retry, c.want.Retry)
			}
			second.release()
			if st := b.targets[0].Status(b.loop.Now()); st.Failed != 0 {
				t.Errorf("the end of an idle connection counts as a failure: %+v", st)
			}
			b.clean()
		})
	}
}

func TestMaxIdle(t *testing.T) {
	for _, limit := range []int{0, 1, 3} {
		b := newBed(t, 1, func(o *Options) { o.MaxIdle = limit })
		var callers []*caller
		for i := range 5 {
			callers = append(callers, b.open(fmt.Sprint(i)))
			callers[i].hears("ready")
		}
		for i, c := range callers {
			b.origins[i].conn.Write([]byte(ok))
			c.hears("head 200", "data hi end")
			c.release()
		}
		b.counts(0, 0, int64(limit), 0, int64(limit))
		b.clean()
	}
}

// At the limit requests wait in order, and a connection that becomes free, or its place, goes to the first.
func TestQueue(t *testing.T) {
	b := newBed(t, 1, func(o *Options) { o.MaxConnections = 1 })
	first := b.open("first")
	first.hears("ready")
	var waiting []*caller
	for i := range 4 {
		waiting = append(waiting, b.open(fmt.Sprint(i)))
	}
	b.counts(0, 5, 0, 4, 1)
	waiting[1].release() // out of the middle
	waiting[3].release() // at the end
	last := b.open("last")
	b.counts(0, 4, 0, 3, 1)

	b.origins[0].conn.Write([]byte(ok))
	first.hears("head 200", "data hi end")
	first.release()
	waiting[0].hears("ready")
	waiting[2].hears()
	b.counts(0, 3, 0, 2, 1)

	waiting[0].release() // closes the connection, which makes room for another
	waiting[2].hears("ready")
	b.served(2)
	last.hears()

	b.origins[1].conn.Write([]byte("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"))
	waiting[2].hears("head 204 end")
	waiting[2].release()
	last.hears("ready")
	b.served(3)
	last.release()
	b.clean()
}

func TestQueueTimeout(t *testing.T) {
	b := newBed(t, 1, func(o *Options) { o.MaxConnections = 1 })
	first := b.open("first")
	first.hears("ready")
	early := b.open("early")
	b.loop.Advance(600 * time.Millisecond)
	late := b.open("late")
	b.loop.Advance(500 * time.Millisecond)
	early.hears("failed: " + errQueueTimeout.Cause.Error())
	late.hears()
	b.counts(0, 2, 0, 1, 1)
	early.release()
	b.loop.Advance(600 * time.Millisecond)
	late.hears("failed: " + errQueueTimeout.Cause.Error())
	late.release()
	first.hears()
	first.release()
	b.clean()
}

// Without time to wait a request has its answer in a moment, whatever timer the attempt was left with.
func TestNoQueueTime(t *testing.T) {
	b := newBed(t, 1, func(o *Options) { o.MaxConnections, o.QueueTimeout = 1, 0 })
	b.answered("before", 0)
	first := b.open("first")
	first.hears("ready")
	second := b.open("second")
	b.loop.Advance(2 * reactor.Tick)
	second.hears("failed: " + errQueueTimeout.Cause.Error())
	second.release()
	first.release()
	b.clean()
}

func TestQueueIsBounded(t *testing.T) {
	b := newBed(t, 1, func(o *Options) { o.MaxConnections = 1 })
	var callers []*caller
	for i := range maxQueue + 2 {
		callers = append(callers, b.open(fmt.Sprint(i)))
	}
	b.counts(0, maxQueue+1, 0, maxQueue, 1)
	callers[maxQueue+1].hears("failed: " + errQueueFull.Cause.Error())
	for _, c := range callers {
		c.release()
	}
	b.clean()
}

func TestDialRefused(t *testing.T) {
	b := newBed(t, 1, func(o *Options) { o.MaxConnections = 1 })
	b.loop.Unlisten(originAddr(0))
	first, second := b.open("first"), b.open("second")
	first.hears("failed: " + errRefused.Cause.Error())
	second.hears("failed: " + errRefused.Cause.Error()) // it got the place of the first
	if first.err.Retry != codec.RetrySafe {
		t.Fatalf("retry %v", first.err.Retry)
	}
	b.counts(0, 0, 0, 0, 0)
	b.listen(0)
	first.release()
	first.again(b.targets[0]) // it was tried, but there is no other
	first.hears("ready")
	first.release()
	second.release()
	b.clean()
}

func TestDialHangs(t *testing.T) {
	b := newBed(t, 1, func(o *Options) { o.MaxConnections = 1 })
	b.loop.Hang(originAddr(0))
	first := b.open("first")
	b.loop.Advance(2990 * time.Millisecond)
	first.hears()
	second := b.open("second")
	b.loop.Advance(20 * time.Millisecond)
	first.hears("failed: " + errConnectTimeout.Cause.Error())
	b.counts(0, 1, 0, 0, 1) // the second dials
	first.release()
	second.release()
	b.counts(0, 0, 0, 0, 0)
	b.clean()
}

// Releasing an attempt in any of its states leaves nothing behind, and what comes later is not heard.
func TestReleaseInEveryState(t *testing.T) {
	for _, c := range []struct {
		state   AttemptState
		arrange func(b *bed) *caller
		idle    int64 // connections that survive
		busy    int64
	}{
		{AttemptFailing, func(b *bed) *caller {
			b.targets[0].SetHealth(false, 0, "test")
			return b.open("x")
		}, 0, 0},
		{AttemptQueued, func(b *bed) *caller {
			b.openWith("holder", streaming(codec.ByChunks, -1)).hears("ready")
			return b.open("x")
		}, 0, 1},
		{AttemptOpening, func(b *bed) *caller { return b.open("x") }, 0, 0},
		{AttemptReady, func(b *bed) *caller {
			b.answered("before", 0)
			return b.open("x")
		}, 1, 0},
		{AttemptOpen, func(b *bed) *caller {
			x := b.open("x")
			x.hears("ready")
			return x
		}, 0, 0},
		{AttemptDone, func(b *bed) *caller {
			x := b.open("x")
			x.hears("ready")
			b.origins[0].conn.Write([]byte(ok))
			x.hears("head 200", "data hi end")
			return x
		}, 1, 0},
	} {
		t.Run(c.state.String(), func(t *testing.T) {
			b := newBed(t, 1, func(o *Options) { o.MaxConnections = 1 })
			x := c.arrange(b)
			if x.attempt.state != c.state {
				t.Fatalf("the attempt is %v", x.attempt.state)
			}
			x.release()
			b.counts(0, c.busy, c.idle, 0, c.idle+c.busy)
			b.loop.Advance(time.Minute) // every timeout; the holder's time begins anew while its client is the slow one
			x.hears()
			b.counts(0, c.busy, 0, 0, c.busy)
			if c.busy == 0 {
				b.clean()
			}
		})
	}
}

// An attempt that is used again hears nothing of the connection it had before.
func TestReusedAttemptHearsOnlyItsOwn(t *testing.T) {
	b := newBed(t, 1, nil)
	first := b.open("first")
	first.hears("ready")
	b.origins[0].conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nold"))
	first.hears("head 200", "data old")
	b.origins[0].conn.Write([]byte("secret")) // under way when the attempt is given back
	attempt := first.attempt
	first.release()
	second := b.open("second")
	if second.attempt != attempt {
		t.Fatal("the attempt was not used again")
	}
	second.hears("ready")
	b.origins[1].conn.Write([]byte(ok))
	second.hears("head 200", "data hi end")
	second.release()
	first.hears()
	b.clean()
}

func TestNoServer(t *testing.T) {
	b := newBed(t, 2, nil)
	b.targets[0].SetHealth(false, 0, "test")
	b.targets[1].SetDraining(true)
	x := b.open("x")
	x.hears("failed: " + errNoTarget.Cause.Error())
	if x.attempt.Target() != nil {
		t.Fatal("a target was chosen")
	}
	x.release()
	b.clean()
}

// The set of servers is replaced while one request runs, one waits, and one connection is idle.
func TestServersReplaced(t *testing.T) {
	b := newBed(t, 2, func(o *Options) { o.MaxConnections = 2 })
	b.targets[1].SetHealth(false, 0, "test")
	running := b.open("running")
	running.hears("ready")
	other := b.open("other")
	other.hears("ready")
	waiting := b.open("waiting")
	b.targets[1].SetHealth(true, 0, "test")
	b.service.SetTargets(b.targets[1:])

	next := b.open("next")
	next.hears("ready")
	if got := b.origins[2].take(); !strings.HasPrefix(got, "GET /next") {
		t.Fatalf("the new server received %q", got)
	}
	waiting.hears("failed: " + errServerLeft.Cause.Error())
	waiting.release()

	b.origins[0].conn.Write([]byte(ok)) // a running request ends well, its connection is not kept
	running.hears("head 200", "data hi end")
	running.release()
	b.counts(0, 1, 0, 0, 1)
	other.release()
	next.release()
	b.counts(0, 0, 0, 0, 0)
	b.clean()
}

// A server that stays keeps its connections.
func TestServersThatStayKeepConnections(t *testing.T) {
	b := newBed(t, 2, nil)
	b.targets[1].SetHealth(false, 0, "test")
	b.answered("first", 0)
	b.service.SetTargets([]*Target{b.targets[1], b.targets[0]})
	b.answered("second", 0)
	b.served(1)
	b.service.SetTargets(b.targets[1:])
	b.targets[1].SetHealth(true, 0, "test")
	x := b.open("third")
	x.hears("ready")
	if b.origins[0].closed == "" {
		t.Fatal("the idle connection to the server that left stays open")
	}
	x.release()
	b.clean()
}

func TestCloseKeepsRunningRequests(t *testing.T) {
	b := newBed(t, 1, nil)
	b.answered("first", 0)
	running := b.open("running")
	running.hears("ready")
	second := b.open("second")
	second.hears("ready")
	b.origins[1].conn.Write([]byte(ok))
	second.hears("head 200", "data hi end")
	second.release()
	b.pools.Close()
	b.counts(0, 1, 0, 0, 1)
	b.origins[0].conn.Write([]byte(ok))
	running.hears("head 200", "data hi end")
	running.release()
	b.counts(0, 0, 0, 0, 0)
	b.clean()
}
