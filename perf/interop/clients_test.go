package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// largeFile is the large content as a file.
func largeFile(t *testing.T) (file, digest string) {
	t.Helper()
	b, digest := content()
	file = filepath.Join(t.TempDir(), "large")
	check(t, os.WriteFile(file, b, 0o600))
	return file, digest
}

func TestCurl(t *testing.T) {
	need(t, "curl")
	file, digest := largeFile(t)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			version := "--http1.1"
			switch {
			case w.http2 && w.tls:
				version = "--http2"
			case w.http2:
				version = "--http2-prior-knowledge"
			}
			args := func(more ...string) []string {
				return append([]string{"--silent", "--show-error", "--fail", "--cacert", b.caFile, version}, more...)
			}
			dir := t.TempDir()
			if version == "--http2-prior-knowledge" {
				// curl 7.88 cannot use such a connection again, whatever the server (exit status 16).
				for i := range resources {
					n := strconv.Itoa(i + 1)
					run(t, "curl", args("--output", filepath.Join(dir, n), b.url(w, "/resource/"+n))...)
				}
			} else {
				run(t, "curl", args("--parallel", "--parallel-max", "50", "--output", filepath.Join(dir, "#1"),
					b.url(w, fmt.Sprintf("/resource/[1-%d]", resources)))...)
			}
			for i := range resources {
				n := strconv.Itoa(i + 1)
				if got, err := os.ReadFile(filepath.Join(dir, n)); err != nil || string(got) != resource(n) {
					t.Errorf("resource %s is %q, %v", n, got, err)
				}
			}
			if sum := sha256.Sum256(run(t, "curl", args(b.url(w, "/down"))...)); hex.EncodeToString(sum[:]) != digest {
				t.Error("other content came down")
			}
			if got := run(t, "curl", args("--upload-file", file, b.url(w, "/up"))...); string(got) != digest {
				t.Errorf("digest of what went up: %s", got)
			}
			streamed(t, b, "curl", args("--no-buffer", b.url(w, "/events?id=curl"))...)
			for _, path := range []string{"/resource/1", "/down", "/up", "/events"} {
				b.spoke(t, w, path)
			}
		})
	}
}

// streamed runs a client of a stream of events and tells the application of each event when the client printed it.
func streamed(t *testing.T, b *bed, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	var errors bytes.Buffer
	c.Stderr = &errors
	out, err := c.StdoutPipe()
	check(t, err)
	check(t, c.Start())
	n := 0
	for s := bufio.NewScanner(out); s.Scan(); {
		if _, data, ok := strings.Cut(s.Text(), "data: "); ok && data == strconv.Itoa(n+1) {
			n++
			b.app.see(name, n)
		}
	}
	if err := c.Wait(); err != nil || n != events {
		t.Errorf("%s saw %d events, want %d: %v\n%s", name, n, events, err, tail(errors.Bytes()))
	}
}

// answered is a line of nghttp's statistics: the status of one request.
var answered = regexp.MustCompile(`(?m)^ *\d+ .* (\d{3}) +[0-9K]+ /`)

func TestNghttp(t *testing.T) {
	need(t, "nghttp")
	need(t, "stdbuf")
	file, digest := largeFile(t)
	for _, w := range ways {
		if !w.http2 {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			out := run(t, "nghttp", "--get-assets", "--null-out", "--stat", b.url(w, "/assets"))
			statuses := map[string]int{}
			for _, m := range answered.FindAllSubmatch(out, -1) {
				statuses[string(m[1])]++
			}
			if len(statuses) != 1 || statuses["200"] != resources+1 {
				t.Errorf("statuses of a page and its resources: %v\n%s", statuses, tail(out))
			}
			if sum := sha256.Sum256(run(t, "nghttp", b.url(w, "/down"))); hex.EncodeToString(sum[:]) != digest {
				t.Error("other content came down")
			}
			if got := run(t, "nghttp", "--data", file, b.url(w, "/up")); string(got) != digest {
				t.Errorf("digest of what went up: %s", got)
			}
			// nghttp leaves what it prints in a buffer when nobody reads along on a terminal.
			streamed(t, b, "stdbuf", "--output=0", "nghttp", b.url(w, "/events?id=stdbuf"))
			b.spoke(t, w, "/down")
		})
	}
}

// TestNode runs testdata/client.mjs: fetch and WebSocket over HTTP/1.1, the module http2 over HTTP/2.
func TestNode(t *testing.T) {
	need(t, "node")
	_, digest := content()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			part := "http1"
			if w.http2 {
				part = "http2"
			}
			out := run(t, "env", "NODE_EXTRA_CA_CERTS="+b.caFile, "node", "--experimental-websocket", "--no-warnings", "testdata/client.mjs", part, b.url(w, ""), digest)
			if string(out) != "done\n" {
				t.Errorf("it says %q", out)
			}
			b.spoke(t, w, "/down")
		})
	}
}
