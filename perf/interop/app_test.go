package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

const (
	resources = 100      // of the page
	large     = 64 << 20 // bytes up and down
	events    = 3        // of a stream of them
)

// page does in a browser all that the other clients do.
//
//go:embed testdata/page.html
var page []byte

// app is the application behind the proxy.
type app struct {
	mux     http.ServeMux
	results chan string // what pages report

	mu       sync.Mutex
	seen     map[string]chan int // numbers of the events that arrived, by stream
	versions map[int]int         // requests by the major version they came in
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.versions[r.ProtoMajor]++
	a.mu.Unlock()
	a.mux.ServeHTTP(w, r)
}

// came holds that all requests came over one version.
func (a *app) came(t *testing.T, http2 bool) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	want := 1
	if http2 {
		want = 2
	}
	if len(a.versions) != 1 || a.versions[want] == 0 {
		t.Errorf("requests came to the application by major version: %v", a.versions)
	}
}

// content is n bytes whose every piece tells where it belongs, and its digest.
var content = sync.OnceValues(func() (b []byte, digest string) {
	b = make([]byte, 0, large+16)
	for len(b) < large {
		b = fmt.Appendf(b, "%015x\n", len(b))
	}
	b = b[:large]
	sum := sha256.Sum256(b)
	return b, hex.EncodeToString(sum[:])
})

func newApp() *app {
	a := &app{results: make(chan string, 1), seen: map[string]chan int{}, versions: map[int]int{}}
	a.mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})
	a.mux.HandleFunc("GET /assets", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><title>assets</title>\n")
		for i := range resources {
			fmt.Fprintf(w, "<img src=\"/resource/%d\">\n", i+1)
		}
	})
	a.mux.HandleFunc("GET /resource/{n}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, resource(r.PathValue("n")))
	})
	a.mux.HandleFunc("GET /down", func(w http.ResponseWriter, _ *http.Request) {
		b, _ := content()
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.Write(b)
	})
	a.mux.HandleFunc("/up", up)
	a.mux.HandleFunc("GET /events", a.events)
	a.mux.HandleFunc("/seen", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("n"))
		a.see(r.FormValue("id"), n)
	})
	a.mux.HandleFunc("GET /socket", echo)
	a.mux.HandleFunc("POST /result", func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		select {
		case a.results <- string(b):
		default:
		}
	})
	return a
}

// resource is the content of one of a page's.
func resource(n string) string { return "resource " + n + " of the page\n" }

// up answers with the digest of what was sent.
func up(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, "%x", h.Sum(nil))
}

// events sends one event after the other, each when the client has told that it has the one before: a proxy that keeps
// content back stops it.
func (a *app) events(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience/2)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for n := range events {
		fmt.Fprintf(w, "data: %d\n\n", n+1)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		for got := 0; got != n+1; {
			select {
			case <-ctx.Done():
				panic(http.ErrAbortHandler)
			case got = <-a.stream(r.FormValue("id")):
			}
		}
	}
}

// see notes that an event of a stream has arrived.
func (a *app) see(id string, n int) { a.stream(id) <- n }

func (a *app) stream(id string) chan int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen[id] == nil {
		a.seen[id] = make(chan int, 16)
	}
	return a.seen[id]
}

// echo sends every message of a WebSocket back.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(4 << 20)
	for {
		kind, b, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if c.Write(r.Context(), kind, bytes.Clone(b)) != nil {
			return
		}
	}
}
