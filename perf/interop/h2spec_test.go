package interop

import (
	"net"
	"regexp"
	"strconv"
	"testing"
)

// summary is what h2spec says at the end when everything passed, and how much that was.
var summary = regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, 0 failed`)

// sections are all that apply in clear text: there http2/3.5/2 does not, since a client that does not begin with the
// preface of HTTP/2 speaks HTTP/1.1.
var sections = []string{"generic", "hpack", "http2/3.5/1", "http2/4", "http2/5", "http2/6", "http2/7", "http2/8"}

// TestH2Spec runs the conformance tests of h2spec, the strict ones included, with TLS and without.
func TestH2Spec(t *testing.T) {
	h2spec := build(t, ".", "github.com/summerwind/h2spec/cmd/h2spec")
	b := start(t)
	for _, w := range ways {
		if !w.http2 {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			address, args := b.clear, sections
			if w.tls {
				address, args = b.secure, []string{"--tls", "--insecure"}
			}
			host, port, err := net.SplitHostPort(address)
			check(t, err)
			out := run(t, h2spec, append([]string{"--strict", "--path", "/up", "--host", host, "--port", port}, args...)...)
			found := summary.FindSubmatch(out)
			if found == nil {
				t.Fatalf("%s", tail(out))
			}
			if passed, err := strconv.Atoi(string(found[2])); err != nil || passed < 145 || string(found[3]) != "0" {
				t.Errorf("%s", found[0])
			}
		})
	}
}
