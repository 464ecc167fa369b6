package upstream

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A request behind others whose time is over fails; its response is dropped when it comes.
func TestPipelineTimeoutBehind(t *testing.T) {
	b := pipelineBed(t, 8, func(o *Options) { o.MaxConnections = 1 })
	b.orphans = true
	first := b.bares("a")[0]
	second := b.openWith("b", func(c *caller) { c.shape, c.timeout = ShapeBare, 5*time.Second })
	third := b.bares("c")[0]
	second.hears("ready")
	o := b.origins[0]
	o.say(saying("A")[:38])
	first.hears("head 200")
	b.loop.Advance(6 * time.Second)
	second.hears("failed: " + errHeadTimeout.Cause.Error())
	second.release()
	b.counts(0, 3, 0, 0, 1) // the server still has all of them to answer
	o.say(saying("A")[38:] + saying("B") + saying("C"))
	first.hears("data A end")
	third.hears("head 200", "data C end")
	first.release()
	third.release()
	b.counts(0, 0, 1, 0, 1)
	b.clean()
}

// The response to a client that left is dropped for the sake of those behind it, when it is not too long.
func TestPipelineClientLeaves(t *testing.T) {
	long := strings.Repeat("x", maxOrphaned+100)
	chunk := fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(long), long)
	for name, c := range map[string]struct {
		before, after string // it leaves
		replayed      bool
	}{
		"before the head":    {"", saying("A"), false},
		"in the content":     {saying("A")[:38], saying("A")[38:], false},
		"before chunks":      {"", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\nX: y\r\n\r\n", false},
		"before no content":  {"", "HTTP/1.1 204 No Content\r\n\r\n", false},
		"before too much":    {"", saying(long), true},
		"in too much":        {saying(long)[:100], "", true},
		"before many chunks": {"", chunk, true},
		"before the end":     {"", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := pipelineBed(t, 8)
			b.orphans = true
			callers := b.bares("a", "b", "c")
			o := b.origins[0]
			o.take()
			if c.before != "" {
				o.say(c.before)
				b.loop.Run()
				callers[0].stream.Hold(true)
			}
			callers[0].release()
			if name == "before the end" {
				o.conn.Close(false)
			} else {
				o.say(c.after)
			}
			if c.replayed {
				b.answeredElsewhere(1, callers[1:]...)
			} else {
				o.say(saying("B") + saying("C"))
				callers[1].hears("head 200", "data B end")
				callers[2].hears("head 200", "data C end")
				callers[1].release()
				callers[2].release()
				b.counts(0, 0, 1, 0, 1)
			}
			b.clean()
		})
	}
}

// With nobody behind it a request that is given up closes its connection, which tells the server.
func TestPipelineOfOneIsGivenUp(t *testing.T) {
	b := pipelineBed(t, 8)
	a := b.bares("a")[0]
	a.release()
	b.counts(0, 0, 0, 0, 0)
	if b.origins[0].closed == "" {
		t.Error("the server was not told")
	}
	b.clean()
}

// A client may leave before its request is sent, while the connection is opened or in the same turn.
func TestPipelineClientLeavesBeforeItIsSent(t *testing.T) {
	b := pipelineBed(t, 8)
	callers := []*caller{b.bare("a"), b.bare("b"), b.bare("c")}
	callers[0].release()
	callers[1].hears("ready")
	next := b.bare("d")
	next.release()
	b.loop.Run()
	if got := b.origins[0].paths(); got != "b c" {
		t.Fatalf("the server got %q", got)
	}
	callers[2].hears("ready")
	b.origins[0].say(saying("B") + saying("C"))
	callers[1].hears("head 200", "data B end")
	callers[2].hears("head 200", "data C end")
	callers[1].release()
	callers[2].release()
	b.clean()
}
