package h2

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
)

// TestPreface: the preface is the library's.
func TestPreface(t *testing.T) {
	if !bytes.Equal([]byte(http2.ClientPreface), []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) {
		t.Error("another preface")
	}
}
