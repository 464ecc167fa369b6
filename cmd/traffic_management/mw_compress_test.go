package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// decoders are the programs that undo what the proxy does.
var decoders = map[string][]string{"gzip": {"gzip", "-dc"}, "br": {"brotli", "-dc"}, "zstd": {"zstd", "-dcq"}}

// decoded is content as a program of others reads it.
func decoded(t *testing.T, coding, content string) string {
	t.Helper()
	program := decoders[coding]
	if _, err := exec.LookPath(program[0]); err != nil {
		t.Skip("not installed: ", program[0])
	}
	cmd := exec.Command(program[0], program[1:]...)
	var told bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(content), &told
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v: %s", program[0], err, told.String())
	}
	return string(out)
}

// sayings is a server's text of so many bytes, the same for each path.
func sayings(n int) string {
	rnd := rand.New(rand.NewPCG(uint64(n), 1))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%d words, ", rnd.IntN(1000))
	}
	return b.String()[:n]
}

// TestCompressConforms has each kind of response come by each way, and other programs undo the codings.
func TestCompressConforms(t *testing.T) {
	const large = 300_000
	text := "Content-Type: text/plain\r\n"
	chunks := func(n int) string {
		content, b := sayings(n), &strings.Builder{}
		for len(content) > 0 {
			piece := content[:min(len(content), 5000)]
			content = content[len(piece):]
			fmt.Fprintf(b, "%x\r\n%s\r\n", len(piece), piece)
		}
		return b.String() + "0\r\nX-Sum: 1\r\n\r\n"
	}
	length := func(n int, fields string) string {
		return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", fields, n, sayings(n))
	}
	answers := map[string]string{ // by path, behind the status line
		"/text":    length(3000, text+"ETag: \"a\"\r\n"),
		"/large":   length(large, text),
		"/chunked": text + "Transfer-Encoding: chunked\r\n\r\n" + chunks(large),
		"/small":   length(1000, text),
		"/image":   length(3000, "Content-Type: image/png\r\n"),
		"/encoded": length(3000, text+"Content-Encoding: compress\r\n"),
		"/fixed":   length(3000, text+"Cache-Control: no-transform\r\n"),
	}
	s := newServer(t, func(c *serverConn) {
		for {
			r, err := readHead(c)
			if err != nil {
				return
			}
			answer := answers[r.URL.Path]
			if r.Method == "HEAD" {
				answer, _, _ = strings.Cut(answer, "\r\n\r\n")
				answer += "\r\n\r\n"
			}
			if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\n" + answer)); err != nil {
				return
			}
		}
	})
	conform(t, site{server: s}, "small: {compress: {level: {br: 5}}}", "small", func(t *testing.T, w *way) {
		for _, tc := range []struct {
			target, accept string
			size           int
			coding, vary   string
		}{
			{"/text", "gzip", 3000, "gzip", "Accept-Encoding"},
			{"/text", "gzip, deflate, br, zstd", 3000, "br", "Accept-Encoding"},
			{"/text", "br;q=0.1, *;q=0.5", 3000, "zstd", "Accept-Encoding"},
			{"/text", "", 3000, "", "Accept-Encoding"},
			{"/text", "identity", 3000, "", "Accept-Encoding"},
			{"/text", strings.Repeat("gzip;q=0.1,", 40) + "br", 3000, "", "Accept-Encoding"},
			{"/text", strings.Repeat(",", 100) + "gzip", 3000, "", "Accept-Encoding"},
			{"/text", "gzip;q=99999999999999999999", 3000, "", "Accept-Encoding"},
			{"/large", "gzip", large, "gzip", "Accept-Encoding"},
			{"/large", "br", large, "br", "Accept-Encoding"},
			{"/large", "zstd", large, "zstd", "Accept-Encoding"},
			{"/chunked", "gzip", large, "gzip", "Accept-Encoding"},
			{"/chunked", "br", large, "br", "Accept-Encoding"},
			{"/chunked", "zstd", large, "zstd", "Accept-Encoding"},
			{"/small", "gzip", 1000, "", ""},
			{"/image", "gzip", 3000, "", ""},
			{"/encoded", "gzip", 3000, "compress", ""},
			{"/fixed", "gzip", 3000, "", ""},
		} {
			name := tc.target + " for " + tc.accept[:min(len(tc.accept), 30)]
			r := request{target: tc.target, fields: []string{"Accept-Encoding: " + tc.accept}}
			a := w.ask(t, r)
			if got := a.Header.Get("Content-Encoding"); got != tc.coding || a.Header.Get("Vary") != tc.vary {
				t.Errorf("%s: coding %q, Vary %q", name, got, a.Header.Get("Vary"))
				continue
			}
			if decoders[tc.coding] != nil {
				if a.Header.Get("Content-Length") != "" || len(a.body) >= tc.size/2 {
					t.Errorf("%s: %d bytes, Content-Length %q", name, len(a.body), a.Header.Get("Content-Length"))
				}
				a.body = decoded(t, tc.coding, a.body)
			}
			if a.body != sayings(tc.size) {
				t.Errorf("%s: got %d bytes that are not those of the server", name, len(a.body))
			}
			if want := map[bool]string{true: "1"}[tc.target == "/chunked"]; a.Trailer.Get("X-Sum") != want {
				t.Errorf("%s: trailers %v", name, a.Trailer)
			}
			r.method = "HEAD"
			head := w.ask(t, r)
			for _, field := range []string{"Content-Encoding", "Vary", "ETag", "Content-Length", "Content-Type"} {
				if tag := head.Header.Get(field); tag != a.Header.Get(field) {
					t.Errorf("%s: %s of HEAD is %q, of GET %q", name, field, tag, a.Header.Get(field))
				}
			}
		}
	})
}

// TestCompressedEvents: each event comes before the next one is sent, and can be read then.
func TestCompressedEvents(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("not installed: curl")
	}
	next := make(chan struct{})
	s := newServer(t, func(c *serverConn) {
		if _, err := readHead(c); err != nil {
			return
		}
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"))
		for i := range 3 {
			_, _ = fmt.Fprintf(c, "data: event %d\n\n", i)
			<-next
		}
	})
	t.Cleanup(func() { close(next) })
	p := start(t, site{server: s, router: "middlewares: [small]", sections: "middlewares: {small: {compress: {algorithms: [gzip]}}}\n"})
	cmd := exec.Command("curl", "-sN", "--compressed", "http://"+p.listensAt("web")+"/")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	defer time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }).Stop()
	for i := range 3 {
		want := fmt.Sprintf("data: event %d\n\n", i)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(out, got); err != nil || string(got) != want {
			t.Fatalf("event %d: %q, %v", i, got, err)
		}
		next <- struct{}{}
	}
}
