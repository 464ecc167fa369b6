package h1

import (
	"testing"
	"unsafe"

	"traffic_management/codec"
)

func TestMessagesAllocateNothing(t *testing.T) {
	var (
		h       codec.Head
		y       Body
		request = []byte(browserRequest)
		answer  = []byte(smallResponse)
		chunks  = []byte("5;a\r\nhello\r\n0\r\nGrpc-Status: 0\r\n\r\n")
		bad     = []byte("GET /% HTTP/1.1\r\n")
		dst     = make([]byte, 0, 4096)
	)
	relay := func() {
		if n, err := ParseRequestHead(request, &h, &benchLimits); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		codec.RemoveHopByHop(&h)
		AppendRequestHead(dst, &h, codec.ByChunks)
		if n, err := ParseResponseHead(answer, codec.MethodGet, &h, &benchLimits); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		AppendResponseHead(dst, &h, h.Framing, codec.OptClose)
		y.Start(codec.ByChunks, -1, codec.Upstream, &benchLimits)
		for i := range chunks {
			if _, _, err := y.Decode(chunks[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		AppendTrailers(dst, y.Trailers())
		if _, err := ParseRequestHead(bad, &h, &benchLimits); err == nil {
			t.Fatal("no error")
		}
	}
	relay()
	if n := testing.AllocsPerRun(100, relay); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

func TestIdleBodyIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Body{}); size > 56 {
		t.Errorf("%d bytes", size)
	}
}

func TestEveryFaultHasItsErrors(t *testing.T) {
	for f := faultNone + 1; f < faultCount; f++ {
		client, upstream := clientErrors[f], upstreamErrors[f]
		if client.Cause == nil || client.Cause.Error() == "" || client.Status < 400 || client.Status > 505 ||
			client.Kind == codec.KindNone || client.Side != codec.Client {
			t.Errorf("fault %d: client %+v", f, client)
		}
		if upstream.Status != 502 || upstream.Side != codec.Upstream || upstream.Kind != client.Kind {
			t.Errorf("fault %d: upstream %+v", f, upstream)
		}
	}
}
