package codec

import (
	"bytes"
	"testing"
)

func TestAppendWebSocketAccept(t *testing.T) {
	for _, c := range []struct{ key, accept string }{
		{"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, // RFC 6455 section 1.3
		{"", "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w="},
		{string(bytes.Repeat([]byte("k"), 100)), "rWzVOVhJgr+k5nChyKqRW0+OIwk="},
	} {
		if got := AppendWebSocketAccept([]byte("x"), []byte(c.key)); string(got) != "x"+c.accept {
			t.Errorf("key %q: got %q, want %q", c.key, got, c.accept)
		}
	}
}
