package mw

import (
	"math"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

func mirror(t testing.TB, percent float64) *Mirror {
	t.Helper()
	return made[*Mirror](t)(NewMirror(MirrorOptions{Service: besideService(), Percent: percent}))
}

// wants checks the counts of a mirror; none may be under way.
func (m *Mirror) wants(t *testing.T, what string, sent, shed int64) {
	t.Helper()
	if m.Sent() != sent || m.Shed() != shed || m.running.Load() != 0 {
		t.Errorf("%s: %d copies were sent, %d shed, %d are under way; want %d and %d", what, m.Sent(), m.Shed(), m.running.Load(), sent, shed)
	}
}

const refuses = "HTTP/1.1 500 No\r\nContent-Length: 4\r\nSet-Cookie: a\r\n\r\noops"

// The service gets what the client's server gets, and nobody hears what it says.
func TestMirror(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		for _, c := range []struct {
			what, method string
			length       int64
			content      []string
		}{
			{"no content", "DELETE", 0, nil},
			{"content", "POST", 10, []string{"01234", "56789"}},
			{"content of unknown length", "PUT", unknown, []string{"0123", "456", "789"}},
			{"content that is none", "PUT", unknown, []string{""}},
		} {
			m := mirror(t, 100)
			b := newBed(t, m)
			copies := b.beside(says(refuses))
			got := b.begin(v, c.method, "/a?b=c", c.length, "X-Test: 1", "Expect: 100-continue")
			for i, piece := range c.content {
				got.send(piece, i == len(c.content)-1)
			}
			if got.status != 200 || got.body != "ok" || !got.over {
				t.Errorf("%s: %d %q", c.what, got.status, got.body)
			}
			if len(copies.requests) != 1 || len(b.requests) != 1 {
				t.Fatalf("%s: the service got %q, the server %q", c.what, copies.requests, b.requests)
			}
			strip := func(s string) string {
				var kept []string
				for _, line := range strings.Split(s, "\r\n") {
					if !strings.HasPrefix(strings.ToLower(line), "expect:") {
						kept = append(kept, line)
					}
				}
				return strings.Join(kept, "\r\n")
			}
			head, body, _ := strings.Cut(copies.requests[0], "\r\n\r\n")
			wantHead, wantBody, _ := strings.Cut(strip(b.requests[0]), "\r\n\r\n")
			if head != wantHead || unchunked(body) != unchunked(wantBody) {
				t.Errorf("%s: the service got\n%q\nthe server\n%q", c.what, copies.requests[0], b.requests[0])
			}
			m.wants(t, c.what, 1, 0)
		}
	})
}

// unchunked is content without the sizes of its chunks, which are each connection's own.
func unchunked(body string) string {
	lines := strings.Split(body, "\r\n")
	if len(lines) < 3 {
		return body
	}
	var b strings.Builder
	for i := 1; i < len(lines); i += 2 {
		b.WriteString(lines[i])
	}
	return b.String()
}

// The copies are a share of the requests, chosen at random.
func TestMirrorPercent(t *testing.T) {
	for _, percent := range []float64{0, 10, 99, 100} {
		m := mirror(t, percent)
		b := newBed(t, m)
		b.beside(says(bedAnswer))
		const n = 500
		for range n {
			b.ask(codec.HTTP11, "GET", "/")
		}
		p := percent / 100
		if got, most := float64(m.Sent())-n*p, 5*math.Sqrt(n*p*(1-p)); math.Abs(got) > most {
			t.Errorf("%v%%: %d of %d", percent, m.Sent(), n)
		}
		b.run()
		m.wants(t, "in the end", m.Sent(), 0)
	}
}

// A service that is not there, slow, or wrong costs the client nothing, and is asked once.
func TestMirrorFails(t *testing.T) {
	for _, c := range []struct {
		what, answer string
		shed         int64
	}{
		{"nobody listens", "-", 0},
		{"no answer", "", 0},
		{"garbage", "garbage\r\n\r\n", 0},
		{"an endless answer", "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("a", 2*mostCopyAnswer), 0},
		{"an end", "end", 0},
	} {
		m := mirror(t, 100)
		b := newBed(t, m)
		var copies *bed
		if c.answer != "-" {
			copies = b.beside(says(c.answer))
		}
		if c.what == "an end" { // of a connection that was used before
			copies.answer = says(bedAnswer)
			b.ask(codec.HTTP11, "GET", "/")
			copies.answer = says("")
		}
		n := m.Sent()
		got := b.begin(codec.HTTP11, "DELETE", "/", 0)
		if got.status != 200 || !got.over {
			t.Errorf("%s: %d, over %v", c.what, got.status, got.over)
		}
		if c.what == "an end" {
			asked := len(copies.requests)
			copies.servers[0].closes()
			if b.advance(time.Second); len(copies.requests) != asked {
				t.Errorf("%s: asked again, %q", c.what, copies.requests)
			}
		}
		b.advance(10 * time.Second)
		m.wants(t, c.what, n+1, c.shed)
	}
}

// A copy is given up when its service takes content more slowly than the server, or when the content is not whole.
func TestMirrorSheds(t *testing.T) {
	const size = 512 << 10
	m := mirror(t, 100)
	b := newBed(t, m)
	b.loop.Hang(besideAddr)
	got := b.begin(codec.HTTP11, "POST", "/", size)
	for range size / (64 << 10) {
		got.send(strings.Repeat("x", 64<<10), false)
	}
	got.send("", true)
	if got.status != 200 || len(b.requests) != 1 || !strings.HasSuffix(b.requests[0], strings.Repeat("x", size)) {
		t.Errorf("%d; the server got %d requests", got.status, len(b.requests))
	}
	m.wants(t, "a connection that does not open", 1, 1)

	gone := b.begin(codec.HTTP11, "POST", "/", 10)
	gone.send("01", false)
	gone.leave()
	m.wants(t, "a client that leaves", 2, 2)

	m = mirror(t, 100)
	b = newBed(t, m, buffering(t, size, 0))
	copies := b.beside(says(bedAnswer))
	large := b.begin(codec.HTTP11, "POST", "/", size)
	large.send(strings.Repeat("x", size), true)
	if len(copies.requests) != 1 || !strings.HasSuffix(copies.requests[0], strings.Repeat("x", size)) || large.status != 200 {
		t.Errorf("%d; %d copies", large.status, len(copies.requests))
	}
	m.wants(t, "content in one piece", 1, 0)
}

// No more copies are under way than there may be.
func TestMirrorIsBounded(t *testing.T) {
	m := mirror(t, 100)
	b := newBed(t, m)
	b.loop.Hang(besideAddr)
	const extra = 10
	for range mostCopies + extra {
		if got := b.ask(codec.HTTP11, "GET", "/"); got.status != 200 {
			t.Fatalf("status %d", got.status)
		}
	}
	if m.running.Load() != mostCopies || m.Shed() != extra {
		t.Errorf("%d copies are under way, %d were shed", m.running.Load(), m.Shed())
	}
	b.advance(10 * time.Second)
	m.wants(t, "in the end", mostCopies, extra)
}

// A filter that answers behind the mirror leaves nothing of a copy that waits for content.
func TestMirrorOfRefusedRequest(t *testing.T) {
	m := mirror(t, 100)
	b := newBed(t, m, last{})
	b.beside(says(bedAnswer))
	if got := b.begin(codec.HTTP2, "POST", "/", 5); got.status != 200 || got.x == nil && !got.over {
		t.Errorf("%d", got.status)
	}
	b.run()
	m.wants(t, "refused", 1, 1)
}

func TestMirrorOptions(t *testing.T) {
	for _, percent := range []float64{-1, 100.1, math.NaN()} {
		if _, err := NewMirror(MirrorOptions{Percent: percent}); err == nil {
			t.Errorf("%v is taken", percent)
		}
	}
}

// Filters that have nothing to do for a request allocate nothing for it.
func TestForwardingAllocatesNothing(t *testing.T) {
	for name, f := range map[string]exchange.Filter{"mirror": mirror(t, 0), "buffering": buffering(t, 10, 0),
		"error pages": errorPages(t, "/")} {
		if n := allocs(t, codec.HTTP11, "GET", "/", nil, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
