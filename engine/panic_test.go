package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"traffic_management/codec"
	"traffic_management/config"
	"traffic_management/engine"
	"traffic_management/engine/exchange"
)

// bomb is a kind of middleware that panics at one place: {bomb: {at: request}}.
type bomb struct{ at string }

var bombs = engine.Middlewares{"bomb": func(decode func(any) error) (exchange.Filter, error) {
	var settings struct{ At string }
	err := decode(&settings)
	return bomb{settings.At}, err
}}

// bombPlaces are the places, with the status that the client sees: 0 for none, or a response that is cut short.
var bombPlaces = map[string]int{"request": 500, "job": 500, "tee": 500, "response": 500, "data": 0, "done": 200}

func (b bomb) goesOff(at string) {
	if b.at == at {
		panic("the bomb of " + at)
	}
}

func (b bomb) Request(x *exchange.Exchange) exchange.Verdict {
	b.goesOff("request")
	switch b.at {
	case "job":
		work := func(context.Context) (int, error) { return 0, nil }
		exchange.Go(x, work, func(int, error) { b.goesOff("job") })
		return exchange.Wait
	case "tee":
		x.Tee(bombBody{b, exchange.Outlet{}})
	}
	return exchange.Next
}

func (b bomb) Response(x *exchange.Exchange, h *codec.Head, end bool) exchange.Verdict {
	b.goesOff("response")
	if b.at == "data" && x.HasContent(h, end) {
		body := &bombBody{bomb: b}
		body.out = x.Insert(body)
	}
	return exchange.Next
}

func (b bomb) Done(*exchange.Exchange) { b.goesOff("done") }

type bombBody struct {
	bomb
	out exchange.Outlet
}

func (b bombBody) Data([]byte, bool)        { b.goesOff("tee"); b.goesOff("data") }
func (b bombBody) Trailers(t []codec.Field) { b.out.Trailers(t) }
func (b bombBody) Queued() int              { return 0 }
func (b bombBody) Drop()                    {}

// TestMiddlewaresThatPanic holds that a panic costs the request that it was about, and neither the client's other requests,
// also on the same connection, nor other clients anything. It is logged with its stack, and counted.
func TestMiddlewaresThatPanic(t *testing.T) {
	for version, over := range map[string]func(*http.Protocols){
		"HTTP/1.1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"HTTP/2":   func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		t.Run(version, func(t *testing.T) {
			begun, release := make(chan struct{}), make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(begun)
					<-release
				}
				io.Copy(io.Discard, r.Body)
				io.WriteString(w, "content")
			}))
			t.Cleanup(server.Close)
			log := new(lockedBuffer)
			p := startBombs(t, server.Listener.Addr().String(), log)
			transport := &http.Transport{Protocols: new(http.Protocols)}
			over(transport.Protocols)
			t.Cleanup(transport.CloseIdleConnections)
			client := &http.Client{Transport: transport, Timeout: patience}
			ask := func(path string) (status int, content string) {
				response, err := client.Post("http://"+p.address+path, "text/plain", strings.NewReader("content"))
				if err != nil {
					return 0, ""
				}
				defer response.Body.Close()
				b, err := io.ReadAll(response.Body)
				if err != nil {
					return 0, ""
				}
				return response.StatusCode, string(b)
			}
			slow := make(chan string)
			go func() {
				status, content := ask("/slow")
				slow <- fmt.Sprint(status, " ", content)
			}()
			<-begun
			for place, want := range bombPlaces {
				if status, content := ask("/" + place); status != want || want == 200 && content != "content" {
					t.Errorf("%s: %d %q, want %d", place, status, content, want)
				}
				if status, content := ask("/"); status != 200 || content != "content" {
					t.Errorf("after %s: %d %q", place, status, content)
				}
			}
			close(release)
			if got := <-slow; got != "200 content" {
				t.Errorf("a request that was under way meanwhile: %s", got)
			}
			if want := fmt.Sprintf("\ntraffic_loop_panics_total{loop=\"0\"} %d\n", len(bombPlaces)); !strings.Contains(p.scrape(t), want) {
				t.Errorf("the metrics lack %q", want)
			}
			for place := range bombPlaces {
				if text := log.String(); !strings.Contains(text, "the bomb of "+place) || !strings.Contains(text, "panic_test.go") {
					t.Errorf("the log does not tell of %s", place)
				}
			}
		})
	}
}

// startBombs runs a proxy with a route for each place, and one without a middleware.
func startBombs(t *testing.T, server string, log io.Writer) *proxy {
	t.Helper()
	text := fmt.Sprintf(`entrypoints: {web: {address: "127.0.0.1:0"}}
services: {main: {servers: [{url: "http://%s"}]}}
metrics: {address: "127.0.0.1:0"}
shutdown: {idle_close_seconds: 0}
`, server)
	routers, middlewares := "routers:\n  all: {rule: PathPrefix(\"/\"), service: main, priority: 1}\n", "middlewares:\n"
	for place := range bombPlaces {
		routers += fmt.Sprintf("  %s: {rule: Path(\"/%s\"), service: main, middlewares: [%s]}\n", place, place, place)
		middlewares += fmt.Sprintf("  %s: {bomb: {at: %s}}\n", place, place)
	}
	c, err := config.Parse("site.yaml", []byte(text+routers+middlewares), os.LookupEnv, bombs.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(c, engine.Options{Loops: 1, Logger: slog.New(slog.NewTextHandler(log, nil)), Middlewares: bombs})
	if err != nil {
		t.Fatal(err)
	}
	e.Start(t.Context())
	p := &proxy{Engine: e, address: e.Addr("web").String()}
	t.Cleanup(func() { p.shutdown(t, 0) })
	return p
}

// lockedBuffer is a buffer for goroutines that write at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
