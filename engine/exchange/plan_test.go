package exchange_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"

	"traffic_management/engine/exchange"
)

// mood is what a server makes of a request.
type mood uint8

const (
	moodAnswer    mood = iota // responds when it has the whole request
	moodEarly                 // responds to the head already
	moodAnnounced             // responds, and says that it closes the connection behind it
	moodSilent                // responds, and closes the connection a little later without a word
	moodBusy                  // responds with 503, to the head already or to the whole request
	moodClose                 // closes the connection instead of responding
	moodReset                 // resets it
	moodTruncate              // closes the connection inside the response
	moodAbort                 // resets it there
	moodHang                  // does not respond
	moods
)

func (m mood) String() string {
	return [...]string{"answer", "early", "announced", "silent", "busy", "close", "reset", "truncate", "abort", "hang"}[m]
}

// wireFraming is how a message of the simulation delimits its content.
type wireFraming uint8

const (
	framedByLength wireFraming = iota
	framedByChunks
	framedByClose
)

func (f wireFraming) String() string { return [...]string{"length", "chunks", "close"}[f] }

// plan is one request and its one right response. Both follow from the seed, so either side knows what must arrive.
type plan struct {
	name    string
	seed    uint64
	version string // of the request
	method  string
	framing wireFraming
	content []byte // of the request
	trailer string // behind content in chunks, empty when there is none
	expect  bool   // the client asks for 100 before it sends content

	status       int
	interim      int
	replyFraming wireFraming
	reply        []byte
	replyTrailer string
	mood         mood
	lapses       int           // with a mood that gives no planned response: after so many arrivals there is one
	pause        time.Duration // before the response

	// What became of it.
	read     bool // a filter had the content read whole
	arrivals []*arrival
	outcome  outcome
	answer   int // status the client got
	observed int // times the observer was told
	bytesOut uint64
}

// arrival is one time a server got the head of a request.
type arrival struct {
	mood    mood // the plan's, or that to answer once its lapses are over
	content int  // bytes of content the server got
	whole   bool
	reused  bool // the connection had carried another request
}

// outcome is how a request ended for its client.
type outcome uint8

const (
	outcomeOpen    outcome = iota
	outcomeRight           // the planned response, whole
	outcomeLocal           // a response of the proxy's own
	outcomeCut             // the connection ended inside the response
	outcomeDropped         // the connection ended before any response
	outcomeUnsent          // the connection ended before the request was sent
)

func (o outcome) String() string {
	return [...]string{"open", "right", "local", "cut", "dropped", "unsent"}[o]
}

// pattern is content that no other seed gives.
func pattern(seed uint64, n int) []byte {
	b := make([]byte, n)
	rnd := rand.NewPCG(seed, 0x636f6e74)
	for i := range b {
		if i%8 == 0 {
			seed = rnd.Uint64()
		}
		b[i] = ' ' + byte(seed>>(i%8*8))%95
	}
	return b
}

// sizeOf draws a length of content: mostly short, some beyond every buffer.
func sizeOf(rnd *rand.Rand) int {
	return rnd.IntN([]int{1, 20, 20, 3000, 3000, 40_000, 120_000}[rnd.IntN(7)])
}

func newPlan(rnd *rand.Rand, name string, calm, old bool, policy *exchange.RetryPolicy) *plan {
	p := &plan{name: name, seed: rnd.Uint64(), version: "HTTP/1.1", status: 200, lapses: 1 << 30}
	p.method = []string{"GET", "GET", "GET", "HEAD", "PUT", "POST", "POST", "DELETE"}[rnd.IntN(8)]
	if p.method == "PUT" || p.method == "POST" {
		p.content = pattern(p.seed, sizeOf(rnd))
		p.framing = wireFraming(rnd.IntN(2))
		if p.framing == framedByChunks && rnd.IntN(3) == 0 {
			p.trailer = "X-Sum: " + name
		}
		p.expect = len(p.content) > 0 && rnd.IntN(4) == 0
	}
	if old {
		p.version, p.framing, p.trailer, p.expect = "HTTP/1.0", framedByLength, "", false
	}
	p.replyFraming = wireFraming(rnd.IntN(3))
	p.reply = pattern(^p.seed, sizeOf(rnd))
	switch {
	case p.method == "HEAD":
		p.replyFraming = framedByLength
	case rnd.IntN(8) == 0:
		p.status, p.reply, p.replyFraming = []int{204, 304}[rnd.IntN(2)], nil, framedByLength
	}
	if p.replyFraming == framedByChunks && rnd.IntN(3) == 0 {
		p.replyTrailer = "X-Sum: " + name
	}
	if rnd.IntN(6) == 0 {
		p.interim = 1 + rnd.IntN(2)
	}
	switch rnd.IntN(4) {
	case 0:
		p.mood = mood(rnd.IntN(int(moods)))
	case 1:
		p.mood = []mood{moodSilent, moodBusy, moodClose, moodReset}[rnd.IntN(4)]
	}
	if calm {
		p.mood = mood(max(0, rnd.IntN(2*int(moodSilent))-int(moodSilent)))
		if rnd.IntN(3) == 0 && p.repeatable(policy, len(p.content)) && p.trailer == "" {
			p.mood = moodBusy
		}
	}
	if policy != nil && (calm || rnd.IntN(2) == 0) {
		p.lapses = 1 + rnd.IntN(2)
	}
	if p.mood == moodEarly && p.replyFraming == framedByClose {
		p.replyFraming = framedByChunks // content that still comes would make the close a reset
	}
	if p.mood == moodTruncate && p.replyFraming == framedByClose {
		p.mood = moodAbort // nobody could tell
	}
	if rnd.IntN(2) == 0 {
		p.pause = time.Duration(rnd.IntN(300)) * time.Millisecond
	}
	return p
}

// String says what is planned and what became of it.
func (p *plan) String() string {
	return fmt.Sprintf("%s: %s %s, %d bytes by %v (trailer %q, expect %v), %d with %d bytes by %v, %v after %v: %v %d", p.name,
		p.version, p.method, len(p.content), p.framing, p.trailer, p.expect, p.status, len(p.reply), p.replyFraming, p.mood,
		p.pause, p.outcome, p.answer)
}

// request is the head and the content as the client sends them.
func (p *plan) request(connection string) (head, content []byte) {
	h := fmt.Sprintf("%s /%s?x=%x %s\r\nHost: example.org\r\nX-Plan: %s\r\n", p.method, p.name, p.seed, p.version, p.name)
	if connection != "" {
		h += "Connection: " + connection + "\r\n"
	}
	if p.expect {
		h += "Expect: 100-continue\r\n"
	}
	if p.method != "PUT" && p.method != "POST" {
		return []byte(h + "\r\n"), nil
	}
	line, content := framed(p.framing, p.content, p.trailer, p.seed)
	return []byte(h + line + "\r\n"), content
}

// response is what the server sends, whole.
func (p *plan) response(m mood) []byte {
	if m == moodBusy {
		if p.method == "HEAD" {
			return []byte("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\n")
		}
		return []byte("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
	}
	h := fmt.Sprintf("HTTP/1.1 %d Planned\r\nX-Plan: %s\r\n", p.status, p.name)
	if m == moodAnnounced {
		h += "Connection: close\r\n"
	}
	switch {
	case p.status == 204 || p.status == 304:
		return []byte(h + "\r\n")
	case p.method == "HEAD":
		return fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n", h, len(p.reply))
	}
	line, content := framed(p.replyFraming, p.reply, p.replyTrailer, p.seed)
	return append([]byte(h+line+"\r\n"), content...)
}

// framed is content in its framing, and the field line that says so.
func framed(f wireFraming, content []byte, trailer string, seed uint64) (line string, wire []byte) {
	switch f {
	case framedByLength:
		return fmt.Sprintf("Content-Length: %d\r\n", len(content)), content
	case framedByClose:
		return "", content
	}
	var b bytes.Buffer
	rnd := rand.New(rand.NewPCG(seed, 3))
	for rest := content; len(rest) > 0; {
		n := 1 + rnd.IntN(len(rest))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	b.WriteString("0\r\n")
	if trailer != "" {
		b.WriteString(trailer + "\r\n")
	}
	b.WriteString("\r\n")
	return "Transfer-Encoding: chunked\r\n", b.Bytes()
}

// early reports whether the response to an arrival comes before the request is whole.
func (p *plan) early(a *arrival) bool {
	return a.mood == moodEarly || a.mood == moodBusy && p.seed%2 == 0
}

// repeatable reports whether the request may be sent again although a server had it, with so much of its content.
func (p *plan) repeatable(policy *exchange.RetryPolicy, content int) bool {
	return policy != nil && (p.idempotent() || policy.NonIdempotent) && (content <= policy.MaxBody || p.read)
}

// idempotent reports whether the request may be sent again when the server may have begun to act on it.
func (p *plan) idempotent() bool { return p.method != "POST" }
