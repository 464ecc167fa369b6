package interop

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// TestChromium lets a browser load testdata/page.html, which tells the application what it met.
func TestChromium(t *testing.T) {
	need(t, "chromium")
	_, digest := content()
	for _, w := range ways {
		if w.http2 && !w.tls {
			continue // browsers speak HTTP/2 with TLS only
		}
		t.Run(w.name, func(t *testing.T) {
			b := start(t)
			browse(t, b, w, digest)
			b.spoke(t, w, "/down")
			// The browser opens a WebSocket on the connection it has when the proxy takes that (RFC 8441).
			b.spoke(t, w, "/socket")
		})
	}
}

func browse(t *testing.T, b *bed, w way, digest string) {
	args := []string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--ignore-certificate-errors",
		"--user-data-dir=" + t.TempDir(), "--remote-debugging-port=0"}
	if !w.http2 {
		args = append(args, "--disable-http2")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, "chromium", append(args, b.url(w, "/page"))...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	check(t, c.Start())
	defer func() {
		cancel()
		_ = c.Wait() // it was told to end
	}()
	var text string
	select {
	case text = <-b.app.results:
	case <-ctx.Done():
		t.Fatal("the page said nothing")
	}
	var result struct {
		Error, Digest string
		Versions      []string
	}
	check(t, json.Unmarshal([]byte(text), &result))
	version := "http/1.1"
	if w.http2 {
		version = "h2"
	}
	if result.Error != "" || result.Digest != digest || !slices.Equal(result.Versions, []string{version}) {
		t.Errorf("the page says %s", text)
	}
}
