package upstream

import (
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
