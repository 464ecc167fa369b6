package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// written is what a client sends when it writes these frames behind its preface and SETTINGS.
func written(t *testing.T, frames ...func(f *framer)) string {
	t.Helper()
	out := &bytes.Buffer{}
	f := &framer{Framer: http2.NewFramer(out, nil), t: t}
	f.hpack = hpack.NewEncoder(&f.block)
	out.WriteString(http2.ClientPreface)
	f.must(f.WriteSettings())
	for _, write := range frames {
		write(f)
	}
	if f.failed != nil {
		t.Fatal(f.failed)
	}
	return out.String()
}

// closing hears an HTTP/2 connection that the proxy closes when it has answered with these statuses, by no error of the
// client's.
func closing(statuses ...string) func(c *client) error {
	return func(c *client) error {
		f := http2.NewFramer(io.Discard, c)
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		var got []string
		for {
			frame, err := f.ReadFrame()
			switch v := frame.(type) {
			case *http2.MetaHeadersFrame:
				got = append(got, v.PseudoValue("status"))
			case *http2.GoAwayFrame:
				if v.ErrCode != http2.ErrCodeNo {
					return fmt.Errorf("GOAWAY with %v %s", v.ErrCode, v.DebugData())
				}
			}
			switch {
			case err == nil:
			case errors.Is(err, os.ErrDeadlineExceeded):
				return errors.New("the connection stays open")
			case fmt.Sprint(got) != fmt.Sprint(statuses):
				return fmt.Errorf("received answers %v, want %v, and then %w", got, statuses, err)
			default:
				return nil
			}
		}
	}
}

// Clients of HTTP/2 that begin something and do not go on with it.
func TestSlowFrames(t *testing.T) {
	head := func(f *framer) { f.ask(1, "GET", complete) }
	part := func(f *framer) {
		f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: f.encode(":method", "GET")}))
	}
	fragment := "\x00\x00\x01\x09\x00\x00\x00\x00\x03\x84" // CONTINUATION of stream 3, without END_HEADERS
	ping := "\x00\x00\x08\x06\x00\x00\x00\x00\x00pingpong"
	hello := written(t)
	post := func(f *framer) { f.ask(1, "POST", unfinished) }
	some := func(f *framer) { f.must(f.WriteData(1, false, []byte("some"))) }
	frame := "\x00\x40\x00\x00\x00\x00\x00\x00\x01" // of DATA, 16 kB
	ways := []slow{
		{name: "silence in the preface", sent: hello[:10], answers: []int{408}, after: headTime},
		{name: "trickled preface", trickle: hello, answers: []int{408}, after: headTime},
		{name: "silence before SETTINGS", sent: http2.ClientPreface, hears: closing(), after: headTime},
		{name: "trickled SETTINGS", sent: http2.ClientPreface, trickle: "\x00\x00\x3c\x04\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00", hears: closing(), after: headTime},
		{name: "silence before a request", sent: hello, hears: closing(), after: headTime},
		{name: "PING and no request", sent: hello, trickle: ping, hears: closing(), after: headTime},
		{name: "silence in the header of a frame", sent: hello + "\x00\x00", hears: closing(), after: headTime},
		{name: "silence in a field section", sent: written(t, part), hears: closing(), after: headTime},
		{name: "trickled field section", sent: hello + "\x00\x10\x00\x01\x05\x00\x00\x00\x03", trickle: "\x82", hears: closing(), after: headTime},
		{name: "trickled CONTINUATION", sent: written(t, part), trickle: fragment, hears: closing(), after: headTime},
		{name: "no second request", sent: written(t, head), hears: closing("200"), after: idleTime},
		{name: "PING and no second request", sent: written(t, head), trickle: ping, hears: closing("200"), after: idleTime},
		{name: "a second field section that is not whole", sent: written(t, head, part), hears: closing("200"), after: headTime},
		{name: "silence before content", sent: written(t, post), hears: closing("408"), after: bodyTime},
		{name: "silence in content", sent: written(t, post, some), hears: closing("408"), after: bodyTime},
		{name: "silence in a frame of content", sent: written(t, post) + frame + "some", hears: closing("408"), after: bodyTime},
		{name: "trickled content", sent: written(t, post) + frame, trickle: "x", hears: closing("408"), after: slowTime},
	}
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders, http: impatient})
	torment(t, p, ways, crowd(1000))
	p.heldAtMost(96 << 20)
	if got := s.settled(t); strings.Contains(got, "HTTP/2.0") {
		t.Error("the server received a preface")
	}
}
