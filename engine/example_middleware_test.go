package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"traffic_management/codec"
	"traffic_management/config"
	"traffic_management/engine"
	"traffic_management/engine/exchange"
)

// maintenance answers requests below some paths with 503, and says on every other response that work is going on. It is
// immutable: all loops share it.
type maintenance struct {
	paths  [][]byte
	closed *codec.Error
	notice codec.Field
}

// newMaintenance makes the filter of one middleware of the file. Its errors are shown with their place in the file.
func newMaintenance(decode func(v any) error) (exchange.Filter, error) {
	var settings struct {
		Paths   []string `yaml:"paths"`
		Message string   `yaml:"message"`
	}
	if err := decode(&settings); err != nil {
		return nil, err
	}
	if len(settings.Paths) == 0 {
		return nil, errors.New("paths: expected one at least")
	}
	m := &maintenance{
		closed: &codec.Error{Side: codec.Internal, Status: 503, Cause: errors.New(settings.Message)},
		notice: codec.Field{Name: []byte("X-Maintenance"), Value: []byte("on")},
	}
	for _, p := range settings.Paths {
		m.paths = append(m.paths, []byte(p))
	}
	return m, nil
}

// Request is given each request on its loop, before a server is chosen.
func (m *maintenance) Request(x *exchange.Exchange) exchange.Verdict {
	for _, p := range m.paths {
		if bytes.HasPrefix(x.Path(), p) {
			x.Refuse(m.closed)
			return exchange.Answered
		}
	}
	return exchange.Next
}

// Response is given the head of the response to each request that Request let pass.
func (m *maintenance) Response(_ *exchange.Exchange, h *codec.Head, _ bool) exchange.Verdict {
	h.Fields = append(h.Fields, m.notice)
	return exchange.Next
}

func ExampleMiddlewares() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "the server has", r.URL.Path)
	}))
	defer server.Close()
	file := fmt.Sprintf(`
entrypoints: {web: {address: "127.0.0.1:0"}}
services: {shop: {servers: [{url: %q}]}}
routers: {shop: {rule: PathPrefix("/"), service: shop, middlewares: [work]}}
middlewares:
  work:
    maintenance:
      paths: [/checkout, /account]
      message: back in ${env:MINUTES:-ten} minutes
`, server.URL)

	kinds := engine.Middlewares{"maintenance": newMaintenance}
	c, err := config.Parse("shop.yaml", []byte(file), os.LookupEnv, kinds.Kinds()...)
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := engine.New(c, engine.Options{Loops: 1, Logger: slog.New(slog.DiscardHandler), Middlewares: kinds})
	if err != nil {
		fmt.Println(err)
		return
	}
	e.Start(context.Background())
	for _, path := range []string{"/basket", "/checkout/pay"} {
		response, err := http.Get("http://" + e.Addr("web").String() + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Printf("%d %q %s", response.StatusCode, response.Header.Get("X-Maintenance"), body)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := e.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 200 "on" the server has /basket
	// 503 "" 503 Service Unavailable: back in ten minutes
}
