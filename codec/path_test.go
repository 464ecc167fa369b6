package codec

import (
	"bytes"
	"path"
	"strings"
	"testing"
)

func TestNormalizePath(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"*", "*"}, {"/", "/"}, {"/a/b", "/a/b"}, {"/a/", "/a/"}, {"a", "/a"}, {"**", "/**"},
		{"/%66oo", "/foo"}, {"/%7e%2D%5f%2e", "/~-_."}, {"/a%2fb", "/a%2Fb"}, {"/a%2Fb", "/a%2Fb"}, {"/%c3%A9", "/%C3%A9"},
		{"/%2565", "/%2565"}, {"/%20", "/%20"}, {"/%5c..%5C", "/%5C..%5C"},
		{"//", "/"}, {"///a////b//", "/a/b/"}, {"//x/../y", "/y"},
		{"/.", "/"}, {"/..", "/"}, {"/../..", "/"}, {"/./", "/"}, {"/../", "/"}, {"/a/.", "/a"}, {"/a/./", "/a/"},
		{"/a/b/..", "/a"}, {"/a/b/../", "/a/"}, {"/a/..", "/"}, {"/a/../../../b", "/b"}, {"/a/b/c/../../d", "/a/d"},
		{"/%2e%2E/a", "/a"}, {"/a/.%2e/b", "/b"}, {"/a/%2e/b", "/a/b"}, {"/a/%2e%2e%2fb", "/a/..%2Fb"}, {"/a//../b", "/b"},
		{"/...", "/..."}, {"/.well-known/x", "/.well-known/x"}, {"/..a/.b./c..", "/..a/.b./c.."},
		{"/a/..;/b", "/a/..;/b"}, {"a/../b", "/b"}, {"..", "/"},
	} {
		got, err := NormalizePath([]byte("kept"), []byte(c.in))
		if c.in != c.want {
			got = bytes.TrimPrefix(got, []byte("kept"))
		}
		if err != nil || string(got) != c.want {
			t.Errorf("%q: got %q, %v, want %q", c.in, got, err, c.want)
		}
	}
}

func TestNormalizePathRefuses(t *testing.T) {
	for _, in := range []string{"/%", "/%4", "/%4g", "/%g4", "/%%41", "/a%00b", "/%00", "/x/../%0", "//%zz", "a%"} {
		if got, err := NormalizePath(nil, []byte(in)); err != ErrTarget {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}

func TestNormalizePathLeavesWhatIsNormal(t *testing.T) {
	for _, in := range []string{"/", "/a/b.html", "/.well-known/a", "/%2F%C3%A9/", "*", "/a/b/c/d/e/f/g/h"} {
		p := []byte(in)
		got, err := NormalizePath(nil, p)
		if err != nil || &got[0] != &p[0] || len(got) != len(p) {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}

func TestRoutingPath(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"/a/b", "/a/b"}, {"/foo%20bar", "/foo bar"}, {"/a%2Fb", "/a%2Fb"}, {"/%5C", `/\`}, {"/%C3%A9", "/é"},
		{"/%2541", "/%2541"}, {"/%22%3C%3E%5E%60%7B%7C%7D", "/\"<>^`{|}"},
		{"/%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D", "/%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D"},
	} {
		if got := RoutingPath(nil, []byte(c.in)); string(got) != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestPathsAllocateNothing(t *testing.T) {
	dst := make([]byte, 0, 256)
	plain, changed := []byte("/api/v1/users/42"), []byte("//api/./v1/%75sers/%20/../42")
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range [][]byte{plain, changed} {
			out, err := NormalizePath(dst, p)
			if err != nil {
				t.Fatal(err)
			}
			RoutingPath(dst[len(dst):cap(dst)][:0], out)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// slowNormalize is NormalizePath by other means: decode as a string, then path.Clean.
func slowNormalize(in string) (string, bool) {
	if in == "" || in == "*" {
		return in, true
	}
	parts := strings.Split(in, "%")
	out := parts[0]
	for _, p := range parts[1:] {
		if len(p) < 2 || !All([]byte(p[:2]), ClassHex) || p[:2] == "00" {
			return "", false
		}
		high, low := strings.IndexByte(upperHex, strings.ToUpper(p)[0]), strings.IndexByte(upperHex, strings.ToUpper(p)[1])
		if c := byte(high<<4 | low); c < 0x80 && (Classes[c]&(ClassToken|ClassHost) == ClassToken|ClassHost && !strings.ContainsRune("!$&'*+%", rune(c))) {
			out += string(rune(c)) + p[2:]
		} else {
			out += "%" + strings.ToUpper(p[:2]) + p[2:]
		}
	}
	clean := path.Clean("/" + out)
	if strings.HasSuffix(out, "/") && clean != "/" {
		clean += "/"
	}
	return clean, true
}

func FuzzNormalizePath(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "//x/./%2e%2E/y/", "/%66%2f%00", "a/..", "*", "/%7E%2d/...", "/..;/", "/%c3%a9"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		once, err := NormalizePath(nil, in)
		if !bytes.Equal(in, before) {
			t.Fatalf("%q became %q", before, in)
		}
		want, ok := slowNormalize(string(in))
		if ok != (err == nil) {
			t.Fatalf("%q: got %v, want an error: %v", in, err, !ok)
		}
		if err != nil {
			return
		}
		if string(once) != want {
			t.Fatalf("%q: got %q, want %q", in, once, want)
		}
		if twice, err := NormalizePath(nil, once); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q: once %q, twice %q, %v", in, once, twice, err)
		}
		if routing := RoutingPath(nil, once); bytes.Count(routing, []byte("/")) != bytes.Count(once, []byte("/")) {
			t.Fatalf("%q: routing path %q has other segments", once, routing)
		}
	})
}

func BenchmarkNormalizePath(b *testing.B) {
	p := []byte("/static/app/js/vendor.4f2a9c.bundle.js")
	for b.Loop() {
		if _, err := NormalizePath(nil, p); err != nil {
			b.Fatal(err)
		}
	}
}
