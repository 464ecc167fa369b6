package engine_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ask sends a request on a connection of its own and returns the status and content of the answer.
func (p *proxy) ask(t testing.TB, request string) (status, content string) {
	t.Helper()
	c := p.dial(t)
	defer c.close()
	c.say(request)
	head, content := c.response()
	return head[len("HTTP/1.1 "):len("HTTP/1.1 200")], content
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// serve answers every request on every connection with the name of the server, until the test ends.
func (b *backend) serve(name string) {
	go func() {
		for c := range b.accepted {
			go func() {
				defer c.Close()
				buf, seen := make([]byte, 4096), ""
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					seen += string(buf[:n])
					for strings.Contains(seen, "\r\n\r\n") {
						_, seen, _ = strings.Cut(seen, "\r\n\r\n")
						if _, err := c.Write([]byte(response(name))); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
}

func TestDeadServer(t *testing.T) {
	alive := listen(t)
	alive.serve("alive")
	for _, strategy := range []string{"round_robin", "weighted", "least_conn", "random"} {
		t.Run(strategy, func(t *testing.T) {
			p := site{servers: []string{deadAddress(t), alive.address}, loops: 2,
				service: "load_balancer: {strategy: " + strategy + "}"}.start(t)
			for i := range 40 {
				if status, content := p.ask(t, get); status != "200" || content != "alive" {
					t.Fatalf("request %d: got %s %q, want 200 \"alive\"", i, status, content)
				}
			}
			post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
			for i := range 4 { // nothing was sent: safe for any method
				if status, _ := p.ask(t, post); status != "200" {
					t.Fatalf("POST %d: got %s, want 200", i, status)
				}
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	for _, test := range []struct {
		name         string
		servers      []string
		status, text string
	}{
		{"one dead", []string{deadAddress(t)}, "502", "502 Bad Gateway: the server cannot be connected to\n"},
		{"two dead", []string{deadAddress(t), deadAddress(t)}, "502", "502 Bad Gateway: the server cannot be connected to\n"},
		{"a name without address", []string{"nowhere.invalid:80"}, "503",
			"503 Service Unavailable: no server of the service is available\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := site{servers: test.servers}.start(t)
			if status, text := p.ask(t, get); status != test.status || text != test.text {
				t.Errorf("got %s %q, want %s %q", status, text, test.status, test.text)
			}
		})
	}
}

// fullListener is an address whose queue of connections is full: connecting to it hangs until the test ends.
func fullListener(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for {
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address // the queue is full
		}
		t.Cleanup(func() { c.Close() })
	}
}

func TestConnectTimeout(t *testing.T) {
	full := fullListener(t)
	t.Run("the only server", func(t *testing.T) {
		p := site{servers: []string{full}, service: "timeouts: {connect_ms: 50}"}.start(t)
		const text = "504 Gateway Timeout: the server did not accept a connection in time\n"
		if status, got := p.ask(t, get); status != "504" || got != text {
			t.Errorf("got %s %q, want 504 %q", status, got, text)
		}
	})
	t.Run("one of two", func(t *testing.T) {
		alive := listen(t)
		alive.serve("alive")
		p := site{servers: []string{full, alive.address}, service: "timeouts: {connect_ms: 50}"}.start(t)
		for range 4 {
			if status, content := p.ask(t, get); status != "200" || content != "alive" {
				t.Errorf("got %s %q, want 200 \"alive\"", status, content)
			}
		}
	})
}

// TestSlowUpload sends content for far longer than request_ms, with less than that between any two pieces.
func TestSlowUpload(t *testing.T) {
	b := listen(t)
	p := site{servers: []string{b.address}, service: "timeouts: {request_ms: 60}"}.start(t)
	client := p.dial(t)
	client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
	server := b.accept(t)
	server.head()
	for range 6 {
		time.Sleep(90 * time.Millisecond) // this slowness is what is tested
		client.say("x")
		server.hear("x")
	}
	server.say(response("ok"))
	client.hear(response("ok"))
}

// TestLargeResponseHead has a head of the largest size that is taken, and one more byte.
func TestLargeResponseHead(t *testing.T) {
	const limit = 64 << 10
	head := func(size int) string {
		h := "HTTP/1.1 204 No Content\r\nX: "
		return h + strings.Repeat("x", size-len(h)-4) + "\r\n\r\n"
	}
	for _, test := range []struct {
		size  int
		taken bool
	}{{limit, true}, {limit + 1, false}, {4 * limit, false}} {
		t.Run(fmt.Sprint(test.size), func(t *testing.T) {
			b := listen(t)
			p := site{servers: []string{b.address}}.start(t)
			client := p.dial(t)
			client.say(get)
			server := b.accept(t)
			server.head()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				server.conn.Write([]byte(head(test.size))) // may fail: it is not read to its end
			}()
			if test.taken {
				client.hear(head(test.size))
			} else {
				got, content := client.response()
				if want := "502 Bad Gateway: field section: longer than the limit\n"; content != want {
					t.Errorf("got %q with %q, want %q", got, content, want)
				}
			}
			<-sent
		})
	}
}
