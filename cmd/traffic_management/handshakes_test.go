package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const handshakeTime = 1500 * time.Millisecond // as doors have it

// hello is the ClientHello of a client, in one record.
func (d *door) hello(t *testing.T) string {
	t.Helper()
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Client(theirs, d.tls).HandshakeContext(ctx) // it is given up
	}()
	header := make([]byte, 5)
	if _, err := io.ReadFull(ours, header); err != nil {
		t.Fatal(err)
	}
	record := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(ours, record); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	<-done
	return string(header) + string(record)
}

// inRecords is a handshake message, given as a record, in records of one byte.
func inRecords(record string) string {
	var b strings.Builder
	for _, c := range []byte(record[5:]) {
		b.WriteString("\x16\x03\x01\x00\x01")
		b.WriteByte(c)
	}
	return b.String()
}

// alertOrNothing hears a connection that the proxy closes with an alert at most.
func alertOrNothing(c *client) error {
	text, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the connection stays open")
	}
	if len(text) > 0 && text[0] != 21 && text[0] != 22 { // alert; handshake: it had begun
		return fmt.Errorf("received %q", text)
	}
	return nil
}

// What is no handshake costs its connection, and counts.
func TestBrokenHandshakes(t *testing.T) {
	d := doors(t)[1]
	hello := d.hello(t)
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders, entry: d.entry})
	unharmed := d.bystand(p)
	for _, v := range []struct{ name, sent, reason string }{
		{"HTTP/1.1", field("A: b"), "not_tls"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not_tls"},
		{"SSL 2", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x07\x00\xc0\x03\x00\x80\x01\x00\x80", ""},
		{"a record too long", "\x16\x03\x01\xff\xff" + hello[5:], ""},
		{"data before the handshake", "\x17\x03\x03\x00\x05hello", ""},
		{"a message too long", "\x16\x03\x01\x00\x04\x01\xff\xff\xff", ""},
		{"not a ClientHello", "\x16\x03\x01\x00\x04\x02\x00\x00\x00", ""},
		{"a ClientHello of nothing", "\x16\x03\x01\x00\x04\x01\x00\x00\x00", ""},
		{"an alert", "\x15\x03\x01\x00\x02\x02\x28", ""},
		{"a handshake, then HTTP", hello + field("A: b"), ""},
	} {
		t.Run(v.name, func(t *testing.T) {
			count := func() float64 {
				if v.reason == "" {
					return p.metric("traffic_tls_handshake_failures_total")
				}
				return p.metric("traffic_tls_handshake_failures_total", `reason="`+v.reason+`"`)
			}
			before := count()
			c := p.connect(t)
			c.send(v.sent)
			if err := alertOrNothing(c); err != nil {
				t.Error(err)
			}
			eventually(t, "it is counted", func() bool { return count() == before+1 })
		})
	}
	unharmed(t)
	if got := s.received(); got != "" {
		t.Errorf("the server received %q", got)
	}
	p.heldAtMost(memoryBound)
}

// Handshakes that do not go on.
func TestSlowHandshakes(t *testing.T) {
	d := doors(t)[1]
	hello := d.hello(t)
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p, profiles := profiled(t, site{server: s, bystander: bystanders, entry: d.entry})
	p.metric("traffic_loop_panics_total") // the connection for metrics, which is kept, has a goroutine, too
	before := goroutines(t, profiles)
	way := func(name, sent, trickle string) slow {
		return slow{name: name, sent: sent, trickle: trickle, after: handshakeTime, hears: alertOrNothing}
	}
	tormentBeside(t, p, d.bystand(p), []slow{
		way("silence", "", ""),
		way("trickled ClientHello", "", hello),
		way("a part of a ClientHello", hello[:100], ""),
		way("a ClientHello in records of one byte, not whole", inRecords(hello)[:600], ""),
		way("the same, trickled", "", inRecords(hello)),
		way("silence behind a ClientHello", hello, ""),
		way("a record trickled behind a ClientHello", hello+"\x17\x03\x03\x40\x00", "x"),
	}, crowd(1000))
	p.heldAtMost(96 << 20)
	if got := p.metric("traffic_tls_handshake_failures_total", `reason="timeout"`); got != float64(crowd(1000)) {
		t.Errorf("%v timeouts were counted, want %d", got, crowd(1000))
	}
	eventually(t, "no goroutine is left over", func() bool { return goroutines(t, profiles) <= before })
}

// More handshakes than can be computed at once: whoever has done theirs is served meanwhile, and whoever comes then.
func TestHandshakeFlood(t *testing.T) {
	n := crowd(1500)
	d := doors(t)[1]
	hello := d.hello(t)
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p, profiles := profiled(t, site{server: s, bystander: bystanders, entry: d.entry})
	f := d.frames(t, p)
	f.serves(t, 1)
	p.metric("traffic_loop_panics_total") // the connection for metrics, which is kept, has a goroutine, too
	before := goroutines(t, profiles)
	flood := make([]*client, n)
	for i := range flood {
		flood[i] = p.connect(t)
	}
	for _, c := range flood {
		c.send(hello)
	}
	served := 1
	eventually(t, "all handshakes end", func() bool {
		f.serves(t, odd(served))
		served++
		return p.metric("traffic_tls_handshake_failures_total") == float64(n)
	})
	t.Logf("%d requests were served meanwhile; %v handshakes were shed", served,
		p.metric("traffic_tls_handshake_failures_total", `reason="shed"`))
	d.bystand(p)(t)
	p.heldAtMost(128 << 20)
	eventually(t, "no goroutine is left over", func() bool { return goroutines(t, profiles) <= before })
}

// A client of TLS 1.2 that wants to begin anew, over and over, cannot.
func TestRenegotiation(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip(err)
	}
	d := doors(t)[1]
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders, entry: d.entry})
	unharmed := d.bystand(p)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, openssl, "s_client", "-connect", p.web, "-tls1_2", "-msg")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := &transcript{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the handshake is done", func() bool { return strings.Contains(out.String(), "Verify return code") })
	if _, err := io.WriteString(in, "R\n"); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it fails when the proxy ends the connection
	if ctx.Err() != nil || !strings.Contains(out.String(), "RENEGOTIATING") {
		t.Errorf("the connection goes on: %v\n%s", ctx.Err(), out)
	}
	if n := strings.Count(out.String(), ", ServerHello\n"); n != 1 {
		t.Errorf("%d handshakes\n%s", n, out)
	}
	unharmed(t)
}
