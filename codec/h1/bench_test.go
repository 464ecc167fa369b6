package h1

import (
	"testing"

	"traffic_management/codec"
)

// browserRequest is what a browser sends for a page of a site it knows: 10 field lines.
const browserRequest = "GET /products/list?page=2&sort=price HTTP/1.1\r\n" +
	"Host: www.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Connection: keep-alive\r\n" +
	"Referer: https://www.example.com/products/\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n" +
	"Upgrade-Insecure-Requests: 1\r\n" +
	"Priority: u=0, i\r\n\r\n"

// loadRequest is what a load generator sends.
const loadRequest = "GET /128 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"

const smallResponse = "HTTP/1.1 200 OK\r\n" +
	"Server: nginx\r\n" +
	"Date: Tue, 01 Jul 2025 10:00:00 GMT\r\n" +
	"Content-Type: text/plain\r\n" +
	"Content-Length: 128\r\n" +
	"Connection: keep-alive\r\n\r\n"

var benchLimits = Limits{HeadBytes: 16384, Fields: 100}

func benchmarkParse(b *testing.B, in string, parse parser) {
	var h codec.Head
	bytes := []byte(in)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := parse(bytes, &h); n != len(in) {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkParseBrowserRequest(b *testing.B) {
	benchmarkParse(b, browserRequest, requestParser(&benchLimits))
}

func BenchmarkParseLoadRequest(b *testing.B) {
	benchmarkParse(b, loadRequest, requestParser(&benchLimits))
}

func BenchmarkParseSmallResponse(b *testing.B) {
	benchmarkParse(b, smallResponse, responseParser(codec.MethodGet, &benchLimits))
}

func BenchmarkAppendBrowserRequest(b *testing.B) {
	var h codec.Head
	if _, err := ParseRequestHead([]byte(browserRequest), &h, &benchLimits); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		codec.RemoveHopByHop(&h)
		if len(AppendRequestHead(dst, &h, h.Framing)) < 400 {
			b.Fatal("short")
		}
	}
}

func BenchmarkAppendSmallResponse(b *testing.B) {
	var h codec.Head
	if _, err := ParseResponseHead([]byte(smallResponse), codec.MethodGet, &h, &benchLimits); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if len(AppendResponseHead(dst, &h, h.Framing, 0)) < 100 {
			b.Fatal("short")
		}
	}
}

func BenchmarkDecodeChunks(b *testing.B) {
	in := []byte("1000\r\n" + string(make([]byte, 4096)) + "\r\n80\r\n" + string(make([]byte, 128)) + "\r\n0\r\n\r\n")
	var d Chunked
	b.ReportAllocs()
	for b.Loop() {
		d.Reset()
		for n := 0; !d.Done(); {
			_, k, err := d.Decode(in[n:])
			if err != nil {
				b.Fatal(err)
			}
			n += k
		}
	}
}
