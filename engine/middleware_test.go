package engine_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"traffic_management/codec"
	"traffic_management/config"
	"traffic_management/engine"
	"traffic_management/engine/exchange"
)

// marks is a kind that adds a field to requests and responses: {mark: {text: a}}.
var marks = engine.Middlewares{"mark": func(decode func(any) error) (exchange.Filter, error) {
	var settings struct{ Text string }
	switch err := decode(&settings); {
	case err != nil:
		return nil, err
	case settings.Text == "wrong":
		return nil, errors.New("a text that is wrong")
	case settings.Text == "none":
		return nil, nil
	}
	return mark(settings.Text), nil
}}

type mark string

func (m mark) field() codec.Field { return codec.Field{Name: []byte("X-Mark"), Value: []byte(m)} }

func (m mark) Request(x *exchange.Exchange) exchange.Verdict {
	x.RequestHead.Fields = append(x.RequestHead.Fields, m.field())
	return exchange.Next
}

func (m mark) Response(_ *exchange.Exchange, h *codec.Head, _ bool) exchange.Verdict {
	h.Fields = append(h.Fields, m.field())
	return exchange.Next
}

// marked is a configuration of two entry points with such middlewares.
func marked(server, more string) string {
	return fmt.Sprintf(`entrypoints:
  web: {address: "127.0.0.1:0", middlewares: [all]}
  bare: {address: "127.0.0.1:0"}
services: {main: {servers: [{url: "http://%s"}]}}
routers:
  one: {rule: Path("/one"), service: main, middlewares: [c]}
  two: {rule: Path("/two"), service: main}
admin: {address: "127.0.0.1:0"}
shutdown: {idle_close_seconds: 0}
middlewares:
  all: {chain: {middlewares: [a, b]}}
  a: {mark: {text: a}}
  b: {chain: {middlewares: [d]}}
  c: {mark: {text: c}}
  d: {mark: {text: d}}
%s`, server, more)
}

// Requests pass the middlewares of their entry point and then those of their router, chains taken apart; also after a
// reload of the file, which has kinds of the program's own.
func TestMiddlewaresOfEntryPoints(t *testing.T) {
	seen := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- strings.Join(r.Header["X-Mark"], " ")
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "site.yaml")
	write := func(more string) {
		if err := os.WriteFile(file, []byte(marked(server.Listener.Addr().String(), more)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	c, err := config.Load(file, os.LookupEnv, marks.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(c, engine.Options{Loops: 1, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), File: file, Middlewares: marks})
	if err != nil {
		t.Fatal(err)
	}
	e.Start(t.Context())
	p := &proxy{Engine: e}
	t.Cleanup(func() { p.shutdown(t, 0) })
	check := func(entry, path, want string) {
		t.Helper()
		transport := &http.Transport{DisableKeepAlives: true}
		response, err := (&http.Client{Transport: transport}).Get("http://" + e.Addr(entry).String() + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		back := response.Header["X-Mark"]
		if got := <-seen; got != want || len(back) != len(strings.Fields(want)) || len(back) > 0 && back[len(back)-1] != want[:1] {
			t.Errorf("%s%s: the server saw %q, the client %q; want %q", entry, path, got, back, want)
		}
	}
	for range 2 {
		check("web", "/one", "a d c")
		check("web", "/two", "a d")
		check("bare", "/one", "c")
		check("bare", "/two", "")
		write("  e: {mark: {text: e}}\n")
		if err := e.ReloadFile(); err != nil {
			t.Fatal(err)
		}
	}
	write("  e: {mark: {text: wrong}}\n")
	want := file + ":16:7: middlewares.e.mark: a text that is wrong"
	if err := e.ReloadFile(); err == nil || err.Error() != want {
		t.Errorf("a file that is wrong: %v, want %s", err, want)
	}
	check("web", "/two", "a d")
}

// What is wrong with kinds of the program's own is told, with its place in the file.
func TestKindsThatAreWrong(t *testing.T) {
	for _, c := range []struct {
		kinds    engine.Middlewares
		settings string
		want     string
	}{
		{marks, "{text: none}", "site.yaml:16:7: middlewares.e.mark: the program made no filter of the kind \"mark\""},
		{marks, "{txt: a}", "site.yaml:16:13: middlewares.e.mark: field txt not found in type struct { Text string }"},
		{nil, "{text: a}", "site.yaml:16:7: middlewares.e.mark: the program was not given a middleware of the kind \"mark\""},
		{engine.Middlewares{"retry": marks["mark"]}, "{text: a}", "the proxy has a kind of middleware of its own that is called \"retry\""},
	} {
		c1, err := config.Parse("site.yaml", []byte(marked("127.0.0.1:1", "  e: {mark: "+c.settings+"}\n")), os.LookupEnv, "mark")
		if err != nil {
			t.Fatal(err)
		}
		_, err = engine.New(c1, engine.Options{Loops: 1, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Middlewares: c.kinds})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// Every kind of the configuration is one that the engine makes something of.
func TestKindsAreKnown(t *testing.T) {
	for _, kind := range config.Kinds() {
		if !engine.Makes(kind) {
			t.Errorf("nothing is made of a %s", kind)
		}
	}
}
