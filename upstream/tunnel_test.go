package upstream

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
)

const switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"

// offering makes the caller offer the server another protocol.
func offering(c *caller) {
	c.request.Options |= codec.OptUpgrade
	c.request.Fields = append(c.request.Fields, codec.NewField(codec.FieldUpgrade, []byte("WebSocket")))
}

// tunnel opens one.
func (b *bed) tunnel() (x *caller, o *origin) {
	b.t.Helper()
	x = b.openWith("x", offering)
	x.hears("ready")
	o = b.origins[0]
	if got := o.take(); !strings.HasSuffix(got, "\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\r\n") {
		b.t.Fatalf("the server received %q", got)
	}
	o.conn.Write([]byte(switched + "a"))
	x.hears("head 101", "data a")
	b.counts(0, 1, 0, 0, 1)
	return x, o
}

// Either direction of a tunnel may end first; the attempt is over when both have.
func TestTunnelDirections(t *testing.T) {
	b := newBed(t, 1, nil)
	x, o := b.tunnel()
	x.stream.Data([]byte("b"), false)
	x.stream.Data([]byte("c"), false)
	b.loop.Advance(time.Hour) // no time of requests or responses applies
	o.conn.CloseWrite()
	x.hears("data  end")
	x.stream.Data([]byte("d"), true)
	b.counts(0, 0, 0, 0, 0)
	if got := o.take(); got != "bcd" || o.closed != "end" {
		t.Errorf("the server received %q, then %q", got, o.closed)
	}
	x.release()
	b.clean()

	b = newBed(t, 1, nil)
	x, o = b.tunnel()
	x.stream.Data(nil, true)
	o.conn.Write([]byte("b"))
	x.hears("data b end") // the server ended when it saw our end
	b.counts(0, 0, 0, 0, 0)
	x.release()
	b.clean()
}

// A tunnel that is given up is reset, unless its direction to the server was ended: then what is queued still leaves.
func TestTunnelIsGivenUp(t *testing.T) {
	for fate, end := range map[string]func(x *caller){
		"reset": func(*caller) {},
		"end":   func(x *caller) { x.stream.Data([]byte("b"), true) },
	} {
		b := newBed(t, 1, nil)
		x, o := b.tunnel()
		end(x)
		x.release()
		b.loop.Run()
		if o.closed != fate {
			t.Errorf("the server saw %q, want %q", o.closed, fate)
		}
		b.clean()
	}
}

// Whatever a server makes of an offer, its connection carries no other request.
func TestOfferEndsTheConnection(t *testing.T) {
	b := newBed(t, 1, nil)
	x := b.openWith("x", offering)
	x.hears("ready")
	b.origins[0].conn.Write([]byte(ok))
	x.hears("head 200", "data hi end")
	b.counts(0, 0, 0, 0, 0)
	x.release()
	b.clean()
}

// A server that resets its tunnels is not ejected for it, nor does its breaker open; one that switches to what it was
// not offered has failed.
func TestTunnelAndItsServersFame(t *testing.T) {
	for _, c := range []struct {
		answer  string
		heard   []string
		ejected bool
	}{
		{switched, []string{"head 101", "failed: " + errTunnelLost.Cause.Error()}, false},
		{strings.Replace(switched, "websocket", "x", 1), []string{"failed: " + errSwitchOther.Cause.Error()}, true},
	} {
		b := newBed(t, 1, func(o *Options) {
			o.Outlier = &OutlierPolicy{ConsecutiveErrors: 1, BaseEjection: time.Hour, MaxEjectedPercent: 100}
		})
		x := b.openWith("x", offering)
		x.hears("ready")
		b.origins[0].conn.Write([]byte(c.answer))
		b.loop.Run()
		b.origins[0].conn.Abort()
		x.hears(c.heard...)
		if got := b.targets[0].Status(b.loop.Now()).EjectedFor > 0; got != c.ejected {
			t.Errorf("after %v: ejected is %v", c.heard, got)
		}
		x.release()
		b.clean()
	}
}

// An offer of WebSocket that came without a key, as over HTTP/2, gets one of ours for each server, and the server has to
// prove that it read it.
func TestWebSocketKey(t *testing.T) {
	const key = "Sec-WebSocket-Key: "
	over2 := func(c *caller) {
		offering(c)
		c.request.Version = codec.HTTP2
	}
	for _, c := range []struct {
		name    string
		prepare func(*caller)
		key     bool
		accept  func(key string) string // the server's field line
		heard   string
	}{
		{"HTTP/2", over2, true, func(key string) string { return acceptLine(key) }, "head 101"},
		{"HTTP/2, another answer", over2, true, func(string) string { return acceptLine("x") },
			"failed: " + errSwitchProof.Cause.Error()},
		{"HTTP/2, no answer", over2, true, func(string) string { return "" }, "failed: " + errSwitchProof.Cause.Error()},
		{"HTTP/2, another protocol", func(c *caller) {
			over2(c)
			c.request.Fields[len(c.request.Fields)-1].Value = []byte("chat")
		}, false, func(string) string { return "" }, "failed: " + errSwitchOther.Cause.Error()},
		{"HTTP/1.1: the client's to send and to check", offering, false, func(string) string { return "" }, "head 101"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, 1, nil)
			x := b.openWith("x", c.prepare)
			x.hears("ready")
			got := b.origins[0].take()
			_, rest, ok := strings.Cut(got, key)
			if ok != c.key || len(x.request.Fields) != 1 {
				t.Fatalf("the server received %q, the caller kept %d fields", got, len(x.request.Fields))
			}
			value, _, _ := strings.Cut(rest, "\r\n")
			if nonce, err := base64.StdEncoding.DecodeString(value); c.key && (err != nil || len(nonce) != 16) {
				t.Errorf("the key is %q", value)
			}
			b.origins[0].conn.Write([]byte(strings.Replace(switched, "Upgrade:", c.accept(value)+"Upgrade:", 1)))
			x.hears(c.heard)
			x.release()
			b.loop.Run()
			b.clean()
		})
	}
}

func acceptLine(key string) string {
	return "Sec-WebSocket-Accept: " + string(codec.AppendWebSocketAccept(nil, []byte(key))) + "\r\n"
}

// What the server proves to us is not the client's business.
func TestWebSocketAcceptIsTakenOut(t *testing.T) {
	o := offer{key: []byte("k")}
	line := codec.AppendWebSocketAccept(nil, o.key)
	h := codec.Head{Fields: []codec.Field{{Name: []byte("sec-websocket-accept"), Value: line}}}
	if !o.proves(&h) || h.Fields[0].ID != codec.FieldRemoved {
		t.Errorf("the field has ID %d", h.Fields[0].ID)
	}
}
