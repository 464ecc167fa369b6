// Package demo is the sample backends that the example configuration has the proxy in front of.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// backends are the sample servers, at the addresses that config/example.yaml names.
var backends = []struct{ name, address string }{
	{"hello-1", "127.0.0.1:9001"},
	{"hello-2", "127.0.0.1:9002"},
	{"files-1", "127.0.0.1:9003"},
}

// Serve runs the sample backends until ctx is done, and says on w where they are. It returns an error when one of their
// addresses is taken.
func Serve(ctx context.Context, w io.Writer) error {
	ended := make(chan error, len(backends))
	var servers []*http.Server
	defer func() {
		for _, s := range servers {
			_ = s.Close()
		}
	}()
	for _, b := range backends {
		l, err := net.Listen("tcp", b.address)
		if err != nil {
			return fmt.Errorf("sample backend %s: %w", b.name, err)
		}
		s := &http.Server{Handler: Handler(b.name), ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, s)
		go func() { ended <- s.Serve(l) }()
		fmt.Fprintf(w, "sample backend %s at http://%s\n", b.name, b.address)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
}

// answer is what a sample backend says of a request it got.
type answer struct {
	Server  string            `json:"server"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Host    string            `json:"host"`
	Headers map[string]string `json:"headers"`
	Content int64             `json:"content_bytes"`
}

// Handler answers every request with who it is and what it received.
func Handler(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return
		}
		a := answer{Server: name, Method: r.Method, Path: r.URL.RequestURI(), Host: r.Host, Content: n,
			Headers: map[string]string{}}
		for key := range r.Header {
			a.Headers[key] = r.Header.Get(key)
		}
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(a)
	})
}
