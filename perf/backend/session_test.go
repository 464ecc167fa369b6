package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// client is another implementation's, with prior knowledge.
func client(t *testing.T) *http.Client {
	t.Helper()
	x := &http.Transport{Protocols: new(http.Protocols)}
	x.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(x.CloseIdleConnections)
	return &http.Client{Transport: x, Timeout: 20 * time.Second}
}

// get does one request and checks the size of its content and the letters in it.
func get(c *http.Client, method, url string, content io.Reader, status, size int) error {
	r, err := http.NewRequest(method, url, content)
	if err != nil {
		return err
	}
	a, err := c.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != status || len(b) != size || a.ProtoMajor != 2 {
		return fmt.Errorf("%s %s: %s status %d with %d bytes (%v), want %d with %d", method, url, a.Proto, a.StatusCode, len(b), err, status, size)
	}
	if size > 0 && !bytes.Equal(b, letters(size)) {
		return fmt.Errorf("%s: other content", url)
	}
	return nil
}

// TestHTTP2 has small and large answers share a connection, with contents of requests among them.
func TestHTTP2(t *testing.T) {
	url := "http://" + start(t)
	c := client(t)
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			var err error
			switch i % 5 {
			case 0:
				err = get(c, "GET", url+"/128", nil, 200, 128)
			case 1:
				err = get(c, "POST", url+"/16k", bytes.NewReader(make([]byte, 300<<10)), 200, 16<<10)
			case 2:
				err = get(c, "GET", url+"/1m", nil, 200, 1<<20)
			case 3:
				err = get(c, "HEAD", url+"/128", nil, 200, 0)
			case 4:
				err = get(c, "GET", url+"/x", nil, 404, 0)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	a, err := c.Get(url + "/served")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if n, err := io.ReadAll(a.Body); err != nil || string(n) != "60" {
		t.Errorf("served %q, %v", n, err)
	}
}

// TestWindows asks for an answer with windows of nothing and opens them byte by byte, the stream's first.
func TestWindows(t *testing.T) {
	c, _ := dial(t, start(t))
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(c, http2.ClientPreface)
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	var section bytes.Buffer
	e := hpack.NewEncoder(&section)
	e.WriteField(hpack.HeaderField{Name: ":method", Value: "GET"})
	e.WriteField(hpack.HeaderField{Name: ":path", Value: "/20"})
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: section.Bytes(), EndHeaders: true, EndStream: true})
	next := func() http2.Frame {
		t.Helper()
		for {
			r, err := f.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch r.(type) {
			case *http2.MetaHeadersFrame, *http2.DataFrame, *http2.PingFrame:
				return r
			}
		}
	}
	if h, ok := next().(*http2.MetaHeadersFrame); !ok || h.PseudoValue("status") != "200" || h.StreamEnded() {
		t.Fatalf("no head but %v", h)
	}
	// The answer to a ping shows that no content came before it.
	f.WritePing(false, [8]byte{1})
	if p, ok := next().(*http2.PingFrame); !ok || !p.IsAck() {
		t.Fatalf("no ping but %v", p)
	}
	var got []byte
	for range 20 {
		f.WriteWindowUpdate(1, 1)
		d, ok := next().(*http2.DataFrame)
		if !ok || len(d.Data()) != 1 || d.StreamEnded() != (len(got) == 19) {
			t.Fatalf("after %d bytes: %v", len(got), d)
		}
		got = append(got, d.Data()...)
	}
	if !bytes.Equal(got, letters(20)) {
		t.Errorf("content %q", got)
	}
}

// TestBrokenSessions holds that what cannot be read ends the connection and nothing else.
func TestBrokenSessions(t *testing.T) {
	address := start(t)
	for name, write := range map[string]func(*http2.Framer){
		"a field section in pieces": func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
		},
		"an index of nothing": func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0x80, 0x01}, EndHeaders: true})
		},
		"a frame too large": func(f *http2.Framer) { f.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 20000)) },
	} {
		c, r := dial(t, address)
		io.WriteString(c, http2.ClientPreface)
		write(http2.NewFramer(c, nil))
		if _, err := io.Copy(io.Discard, r); err != nil && name != "a frame too large" { // which is not read whole: reset
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := get(client(t), "GET", "http://"+address+"/128", nil, 200, 128); err != nil {
		t.Error(err)
	}
}
