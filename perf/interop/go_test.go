package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"traffic_management/internal/testcert"
)

// goClient is net/http's for one way.
func goClient(t *testing.T, b *bed, w way) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(!w.http2)
	p.SetHTTP2(w.http2 && w.tls)
	p.SetUnencryptedHTTP2(w.http2 && !w.tls)
	x := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{RootCAs: b.ca.Pool()}}
	t.Cleanup(x.CloseIdleConnections)
	return &http.Client{Transport: x, Timeout: patience}
}

// fetch does one request and returns its content.
func fetch(c *http.Client, method, url string, body io.Reader) ([]byte, error) {
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		return nil, err
	}
	a, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode != 200 {
		err = fmt.Errorf("%s %s: %s", method, url, a.Status)
	}
	return b, err
}

// TestGo has net/http on both sides of the proxy, in every pair of versions.
func TestGo(t *testing.T) {
	for _, scheme := range []string{"http", "h2c", "https"} {
		for _, w := range ways {
			t.Run(w.name+" to "+scheme, func(t *testing.T) {
				t.Parallel()
				b := startBefore(t, testcert.New(t), behind{app: scheme})
				goes(t, b, w)
				b.app.came(t, scheme != "http")
			})
		}
	}
}

// goes does everything one way.
func goes(t *testing.T, b *bed, w way) {
	t.Helper()
	large, digest := content()
	c := goClient(t, b, w)
	goResources(t, b, w, c)
	got, err := fetch(c, "GET", b.url(w, "/down"), nil)
	if sum := sha256.Sum256(got); err != nil || hex.EncodeToString(sum[:]) != digest {
		t.Errorf("other content came down: %v", err)
	}
	for name, body := range map[string]io.Reader{
		"known length": bytes.NewReader(large), "unknown length": io.MultiReader(bytes.NewReader(large)),
	} {
		if got, err := fetch(c, "POST", b.url(w, "/up"), body); err != nil || string(got) != digest {
			t.Errorf("%s: digest of what went up: %s, %v", name, got, err)
		}
	}
	goEvents(t, b, w, c)
	b.spoke(t, w, "/up")
}

// goResources fetches all resources of a page at the same time.
func goResources(t *testing.T, b *bed, w way, c *http.Client) {
	t.Helper()
	faults := make(chan error, resources)
	for i := range resources {
		go func() {
			n := strconv.Itoa(i + 1)
			got, err := fetch(c, "GET", b.url(w, "/resource/"+n), nil)
			if err == nil && string(got) != resource(n) {
				err = fmt.Errorf("resource %s is %q", n, got)
			}
			faults <- err
		}()
	}
	for range resources {
		check(t, <-faults)
	}
}

func goEvents(t *testing.T, b *bed, w way, c *http.Client) {
	a, err := c.Get(b.url(w, "/events?id=go"))
	check(t, err)
	defer a.Body.Close()
	n := 0
	s := bufio.NewScanner(a.Body)
	for s.Scan() {
		if s.Text() == "data: "+strconv.Itoa(n+1) {
			n++
			b.app.see("go", n)
		}
	}
	if n != events || s.Err() != nil {
		t.Errorf("%d events, want %d: %v", n, events, s.Err())
	}
}

// TestGoWebSocket opens WebSockets the way of HTTP/1.1.
func TestGoWebSocket(t *testing.T) {
	for _, w := range ways {
		if w.http2 {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			b := start(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c, _, err := websocket.Dial(ctx, b.url(w, "/socket"), &websocket.DialOptions{HTTPClient: goClient(t, b, w)})
			check(t, err)
			defer c.CloseNow()
			c.SetReadLimit(4 << 20)
			for _, text := range []string{"hello", strings.Repeat("x", 1<<20), ""} {
				check(t, c.Write(ctx, websocket.MessageText, []byte(text)))
				if _, got, err := c.Read(ctx); err != nil || string(got) != text {
					t.Fatalf("%d bytes came back as %d, %v", len(text), len(got), err)
				}
			}
			check(t, c.Close(websocket.StatusNormalClosure, ""))
			b.spoke(t, w, "/socket")
		})
	}
}
