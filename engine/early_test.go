package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEarlyResponseToLargeUpload answers while the client is still sending far more than any buffer holds. The client
// reads the whole answer although nobody reads the rest of its content.
func TestEarlyResponseToLargeUpload(t *testing.T) {
	for _, answer := range []struct{ name, head string }{
		{"connection kept by the server", "HTTP/1.1 403 Forbidden\r\n"},
		{"connection closed by the server", "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n"},
	} {
		for _, framing := range []string{"Content-Length: 1000000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3b9aca00\r\n"} {
			t.Run(answer.name+", "+framing[:strings.Index(framing, ":")], func(t *testing.T) {
				b := listen(t)
				p := site{servers: []string{b.address}}.start(t)
				client := p.dial(t)
				client.say("POST / HTTP/1.1\r\nHost: a\r\n" + framing)
				f := begin(client.conn, 1_000_000_000)
				server := b.accept(t)
				server.head()
				f.stalled(t)
				server.say(answer.head + "Content-Length: 2\r\n\r\nno")
				if answer.name == "connection closed by the server" {
					server.close()
				} else {
					defer server.close()
				}
				client.hear("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
				client.hearEnd()
				client.close()
				if err := <-f.ended; err == nil {
					t.Error("all of the content was taken")
				}
			})
		}
	}
}

// TestSilentServer closes nothing and answers nothing to an upload that it does not read: its time runs out.
func TestSilentServer(t *testing.T) {
	b := listen(t)
	p := site{servers: []string{b.address}, service: "timeouts: {request_ms: 300}"}.start(t)
	client := p.dial(t)
	client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
	f := begin(client.conn, 1_000_000_000)
	server := b.accept(t)
	server.head()
	head, content := client.response()
	if want := "504 Gateway Timeout: the server did not respond in time\n"; content != want {
		t.Errorf("got %q with %q, want %q", head, content, want)
	}
	client.hearEnd()
	client.close()
	<-f.ended
}

// TestUnreadResponse has a client that stops reading: it is given up after write_timeout_ms, and so is its request.
func TestUnreadResponse(t *testing.T) {
	b := listen(t)
	p := site{servers: []string{b.address}, http: "write_timeout_ms: 200"}.start(t)
	client := p.dial(t)
	client.say(get)
	server := b.accept(t)
	server.head()
	server.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
	f := begin(server.conn, 1_000_000_000)
	select {
	case err := <-f.ended:
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("the server could send until %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the server was not told that the client is gone")
	}
	if _, err := client.rest(); err == nil || errors.Is(err, io.EOF) {
		t.Error("the client takes what it got for a whole response")
	}
}

// TestForwardingIPv6 has a client with an IPv6 address, trusted and not.
func TestForwardingIPv6(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("no IPv6 here: ", err)
	} else {
		l.Close()
	}
	const before = "X-Forwarded-For: 2001:db8::7\r\nForwarded: for=\"[2001:db8::7]\"\r\nX-Forwarded-Port: 443\r\n"
	for _, test := range []struct{ trusted, want string }{
		{"10.0.0.0/8", "X-Forwarded-For: ::1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n" +
			"X-Forwarded-Port: {port}\r\n"},
		{"'::/64'", "X-Forwarded-For: 2001:db8::7, ::1\r\n" +
			"Forwarded: for=\"[2001:db8::7]\", for=\"[::1]\";host=\"a\";proto=http\r\nX-Forwarded-Port: 443\r\n" +
			"X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"},
	} {
		t.Run(test.trusted, func(t *testing.T) {
			b := listen(t)
			p := site{address: "[::1]:0", servers: []string{b.address},
				entry: "forwarded_headers: {trusted_ips: [" + test.trusted + "]}"}.start(t)
			client := p.dial(t)
			client.say("GET / HTTP/1.1\r\nHost: a\r\n" + before + "X-Request-Id: 1\r\n\r\n")
			port := fmt.Sprint(netip.MustParseAddrPort(p.address).Port())
			got := strings.Replace(b.accept(t).head(), "X-Request-Id: 1\r\n", "", 1)
			if want := "GET / HTTP/1.1\r\nHost: a\r\n" + strings.ReplaceAll(test.want, "{port}", port) + "\r\n"; got != want {
				t.Errorf("the server got\n%swant\n%s", quoteLines(got), quoteLines(want))
			}
			client.reset()
		})
	}
}
