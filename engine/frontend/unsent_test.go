package frontend_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"traffic_management/engine/reactor"
)

// A server closes the idle connection that a POST is just being given: both are seen in one turn of the loop, the request
// first. It never left, so it goes to another connection.
func TestRequestThatNeverLeftIsSentAgain(t *testing.T) {
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("plain %v", plain), func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			loop, address := proxyOn(t, reactor.Config{Plain: plain}, listener.Addr())
			client, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			deadline := time.Now().Add(10 * time.Second)
			client.SetDeadline(deadline)
			say := func(c net.Conn, text string) {
				t.Helper()
				if _, err := io.WriteString(c, text); err != nil {
					t.Fatal(err)
				}
			}
			hear := func(c net.Conn, end string) string {
				t.Helper()
				var b []byte
				for !strings.HasSuffix(string(b), end) {
					piece := make([]byte, 4096)
					n, err := c.Read(piece)
					if err != nil {
						t.Fatalf("%v after %q", err, b)
					}
					b = append(b, piece[:n]...)
				}
				return string(b)
			}
			accept := func() net.Conn {
				t.Helper()
				listener.(*net.TCPListener).SetDeadline(deadline)
				c, err := listener.Accept()
				if err != nil {
					t.Fatal(err)
				}
				c.SetDeadline(deadline)
				return c
			}
			say(client, get)
			first := accept()
			hear(first, "\r\n\r\n")
			say(first, ok)
			hear(client, "hi")

			busy, free := make(chan struct{}), make(chan struct{})
			loop.Post(func() { close(busy); <-free })
			<-busy
			say(client, "POST /once HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
			first.Close()
			close(free)
			second := accept()
			defer second.Close()
			if got := hear(second, "\r\n\r\n"); !strings.HasPrefix(got, "POST /once ") {
				t.Errorf("the server got %q", got)
			}
			say(second, ok)
			if got := hear(client, "hi"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("the client got %q", got)
			}
		})
	}
}
