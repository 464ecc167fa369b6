package mw

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

func stripPrefix(t testing.TB, prefixes ...string) exchange.Filter {
	t.Helper()
	return must[*StripPrefix](t)(NewStripPrefix(StripPrefixOptions{prefixes}))
}

func addPrefix(t testing.TB, prefix string) exchange.Filter {
	t.Helper()
	return must[*AddPrefix](t)(NewAddPrefix(AddPrefixOptions{prefix}))
}

func replacePath(t testing.TB, o ReplacePathOptions) exchange.Filter {
	t.Helper()
	return must[*ReplacePath](t)(NewReplacePath(o))
}

// leads says what becomes of the target of a request.
type leads struct {
	target string
	want   string // that the server gets; a status when it gets nothing
}

// follow sends each request through the filters, in both versions.
func follow(t *testing.T, cases []leads, filters ...exchange.Filter) {
	t.Helper()
	b := newBed(t, filters...)
	eachVersion(t, func(t *testing.T, v codec.Version) {
		for _, c := range cases {
			b.requests = nil
			method := "GET"
			if c.target == "*" {
				method = "OPTIONS"
			}
			a := b.ask(v, method, c.target)
			got := strconv.Itoa(a.status)
			if len(b.requests) > 0 {
				line, _ := b.received("Host")
				got = strings.Fields(line)[1]
			}
			if got != c.want {
				t.Errorf("%s leads to %s, want %s", c.target, got, c.want)
			}
		}
	})
}

func TestStripPrefix(t *testing.T) {
	follow(t, []leads{
		{"/api/a?b=c", "/a?b=c"},
		{"/api", "/"},
		{"/api?", "/?"},
		{"/api/", "/"},
		{"/apis", "/s"},
		{"/other/x", "/x"},
		{"/API/a", "/API/a"},
		{"/x/api/a", "/x/api/a"},
		{"/ap", "/ap"},
		{"/%61pi/a", "/a"},
		{"//api//a", "/a"},
		{"/x/../api/a", "/a"},
		{"/api/../a", "/a"},
		{"/caf%c3%a9/a%20b", "/a%20b"},
		{"/caf%C3%A9%2Fa", "/%2Fa"},
		{"/caf%C3", "/caf%C3"},
		{"/a%2Fb/c", "/c"},
		{"/a/b/c", "/a/b/c"},
		{"/a%2fb%2fc", "/%2Fc"},
		{"/api%2f..%2fadmin", "/%2F..%2Fadmin"},
		{"/api%252e%252e/a", "/%252e%252e/a"},
		{"/api../admin", "400"},
		{"/api..", "400"},
		{"/api%2e%2e/admin", "400"},
		{"/api./admin", "400"},
		{"*", "*"},
	}, stripPrefix(t, "/api", "/other", "/café", "/a%2fb"))
}

func TestStrippedPrefixIsTold(t *testing.T) {
	b := newBed(t, stripPrefix(t, "/caf\u00e9 au"), stripPrefix(t, "/lait"))
	eachVersion(t, func(t *testing.T, v codec.Version) {
		b.ask(v, "GET", "/caf%c3%a9%20au/lait/x", "X-Forwarded-Prefix: /forged")
		if line, got := b.received("X-Forwarded-Prefix"); got != "/caf%C3%A9%20au | /lait" || line != "GET /x HTTP/1.1" {
			t.Errorf("%s: %q", line, got)
		}
		b.ask(v, "GET", "/y", "X-Forwarded-Prefix: /forged")
		if line, got := b.received("X-Forwarded-Prefix"); got != "" || line != "GET /y HTTP/1.1" {
			t.Errorf("%s: %q", line, got)
		}
	})
	b.env.Trusted = prefixes("0.0.0.0/0")
	b.ask(codec.HTTP11, "GET", "/lait/x", "X-Forwarded-Prefix: /outer")
	if _, got := b.received("X-Forwarded-Prefix"); got != "/outer | /lait" {
		t.Errorf("behind a trusted proxy: %q", got)
	}
}

func TestAddPrefix(t *testing.T) {
	follow(t, []leads{
		{"/", "/base%20a/"},
		{"/a?b", "/base%20a/a?b"},
		{"/../a", "/base%20a/a"},
		{"/..%2fa", "/base%20a/..%2Fa"},
		{"/a%2e%2e/b", "/base%20a/a../b"},
		{"*", "*"},
	}, addPrefix(t, "/base a/"))
}

func TestReplacePath(t *testing.T) {
	follow(t, []leads{{"/", "/b/%C3%A9"}, {"/a/../c?d=e", "/b/%C3%A9?d=e"}, {"*", "*"}},
		replacePath(t, ReplacePathOptions{Path: "//b/é"}))
	follow(t, []leads{
		{"/v1/a/b", "/a/v1/b"},
		{"/v1/a/b?c=/v1/d/e", "/a/v1/b?c=/v1/d/e"},
		{"/v2/a/b", "/v2/a/b"},
		{"/v1/%61/%2Fb", "/a/v1/%2Fb"},
		{"/v1/a/..b", "/a/v1/..b"},
		{"/v1/a%3Fb/c", "/a%3Fb/v1/c"},
		{"/v1/a/" + strings.Repeat("b", maxSubject), "414"},
		{"*", "*"},
	}, replacePath(t, ReplacePathOptions{Regex: `^/(v1)/([^/]*)/(?P<rest>.*)`, Replacement: "/$2/${1}/${rest}"}))
	follow(t, []leads{{"/a/b/c", "/x-a/x-b/x-c"}, {"/a", "/x-a"}},
		replacePath(t, ReplacePathOptions{Regex: `/`, Replacement: "/x-"}))
	follow(t, []leads{{"/a", "/$a"}, {"/aa", "/$" + strings.Repeat("aa", 20)}, {"/" + strings.Repeat("a", 2000), "414"}},
		replacePath(t, ReplacePathOptions{Regex: `(a+)`, Replacement: "$$$1"}),
		replacePath(t, ReplacePathOptions{Regex: `(aa+)`, Replacement: strings.Repeat("$1", 20)}))
}

// A client that leaves while its path is looked at beside the loop is forgotten, and so is one whose turn comes later.
func TestClientsLeaveDuringARewrite(t *testing.T) {
	b := newBed(t, replacePath(t, ReplacePathOptions{Regex: "^/v1/(.*)/x$", Replacement: "/$1"}))
	long := "/v1/" + strings.Repeat("a", maxSubject-10)
	for range 20 {
		left, stays := b.begin(codec.HTTP2, "GET", long, 0), b.begin(codec.HTTP11, "GET", long+"/x", 0)
		if left.x != nil {
			left.leave()
		}
		b.await("both are over", func() bool { return left.over && stays.over })
		if line, _ := b.received("Host"); stays.status != 200 || line != "GET /"+long[4:]+" HTTP/1.1" {
			t.Fatalf("%d: %s", stays.status, line)
		}
	}
}

// While many long paths wait to be looked at, further ones are refused, and short ones are not.
func TestRewritesAreBounded(t *testing.T) {
	b := newBed(t, replacePath(t, ReplacePathOptions{Regex: "^/v1/(.*)$", Replacement: "/$1"}))
	long := "/v1/" + strings.Repeat("a", maxSubject-10)
	rewrites.taken.Add(maxWaiting)
	refused, short := b.ask(codec.HTTP11, "GET", long), b.ask(codec.HTTP11, "GET", "/v1/a")
	rewrites.taken.Add(-maxWaiting)
	if refused.status != 503 || short.status != 200 {
		t.Errorf("%d for a long path, %d for a short one", refused.status, short.status)
	}
	c := b.begin(codec.HTTP11, "GET", long, 0)
	b.await("the response", func() bool { return c.over })
	if c.status != 200 || rewrites.taken.Load() != 0 {
		t.Errorf("%d when there is room again, %d places are taken", c.status, rewrites.taken.Load())
	}
}

// What a client writes behind the place that a rewrite cuts at never leads out of where the rewrite leads.
func TestRewritesStayWhereTheyLead(t *testing.T) {
	tricks := []string{"/..", "/../secret", "/%2e%2e/secret", "/.%2E/secret", "/%2E./secret", "..", "../secret", "%2e%2e/secret",
		".%2e/secret", "./../../secret", "/./../secret", "//../secret", "/..//secret", "...", "/.../secret", "/..%2fsecret",
		"%2f..%2fsecret", "/%252e%252e/secret", "%252e%252e/secret", "..;/secret", "/..;/secret", "/..%5csecret", `..\secret`, "", "/", "//",
		".", "/.", "%2e", "/x/../../secret", "/x/%2e%2e/%2e%2e/secret"}
	for name, filters := range map[string][]exchange.Filter{
		"strip and add":    {stripPrefix(t, "/i"), addPrefix(t, "/data/images")},
		"expression":       {replacePath(t, ReplacePathOptions{Regex: "^/i(.*)", Replacement: "/data/images/$1"})},
		"without slash":    {replacePath(t, ReplacePathOptions{Regex: "^/i/?(.*)", Replacement: "data/images/$1"})},
		"pieces of it":     {replacePath(t, ReplacePathOptions{Regex: "^/i(.?)(.*)", Replacement: "/data/images/$1$2"})},
		"over three steps": {stripPrefix(t, "/i"), replacePath(t, ReplacePathOptions{Regex: "^/(.*)", Replacement: "/images/$1"}), addPrefix(t, "/data")},
	} {
		b := newBed(t, filters...)
		eachVersion(t, func(t *testing.T, v codec.Version) {
			for _, trick := range tricks {
				b.requests = nil
				a := b.ask(v, "GET", "/i"+trick)
				if len(b.requests) == 0 {
					if a.status != 400 {
						t.Errorf("%s: /i%s: %d", name, trick, a.status)
					}
					continue
				}
				client, err := codec.NormalizePath(nil, []byte("/i"+trick))
				if err != nil || !bytes.HasPrefix(client, []byte("/i")) {
					continue // the rewrites are not for it
				}
				line, _ := b.received("Host")
				path := strings.Fields(line)[1]
				normal, err := codec.NormalizePath(nil, []byte(path))
				if err != nil || string(normal) != path || path != "/data/images" && !strings.HasPrefix(path, "/data/images/") {
					t.Errorf("%s: /i%s leads to %s (%s, %v)", name, trick, path, normal, err)
				}
			}
		})
	}
}

// TestRandomRewrites feeds rewrites with random paths of what matters in them.
func TestRandomRewrites(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	pieces := []string{"/", "/", ".", ".", "a", "%2e", "%2E", "%2f", "%25", "%00", "%", "//", "/i", "i", ";", `\`, "%5c", "%c3", "2e", "?", "%0d%0a"}
	filters := []exchange.Filter{stripPrefix(t, "/i", "/a"),
		replacePath(t, ReplacePathOptions{Regex: `^/(.)(.*)$`, Replacement: "/r/$2$1"}), addPrefix(t, "/data")}
	b := newBed(t, filters...)
	for range 1000 {
		var target strings.Builder
		target.WriteString("/")
		for range rnd.IntN(10) {
			target.WriteString(pieces[rnd.IntN(len(pieces))])
		}
		b.requests = nil
		b.ask(codec.HTTP2, "GET", target.String())
		if len(b.requests) == 0 {
			continue
		}
		line, _ := b.received("Host")
		path, _, _ := strings.Cut(strings.Fields(line)[1], "?")
		normal, err := codec.NormalizePath(nil, []byte(path))
		if err != nil || !bytes.Equal(normal, []byte(path)) || !strings.HasPrefix(path, "/data/") || hasDots([]byte(path)) {
			t.Fatalf("seed %d: %s leads to %s", seed, target.String(), path)
		}
	}
}

func TestPathOptionsAreChecked(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"", "expected a path that begins with /"},
		{"a", "expected a path that begins with /"},
		{"*", "expected a path that begins with /"},
		{"/a?b", "expected a path, without '?'"},
		{"/a#b", "expected a path, without '#'"},
		{"/a\r\nb", `expected a path, without '\r'`},
		{"/a\x00", `expected a path, without '\x00'`},
		{"/a/../b", `expected a path without the segments "." and ".."`},
		{"/%2e/b", `expected a path without the segments "." and ".."`},
		{"/a%", codec.ErrTarget.Error()},
		{"/a%00", codec.ErrTarget.Error()},
	} {
		for key, try := range map[string]func(string) error{
			"prefixes[1]": func(p string) error {
				_, err := NewStripPrefix(StripPrefixOptions{[]string{"/ok", p}})
				return err
			},
			"prefix": func(p string) error {
				_, err := NewAddPrefix(AddPrefixOptions{p})
				return err
			},
			"path": func(p string) error {
				_, err := NewReplacePath(ReplacePathOptions{Path: p})
				return err
			},
		} {
			if err := try(c.path); err == nil || err.Error() != key+": "+c.want {
				t.Errorf("%q\n got %v\nwant %s: %s", c.path, err, key, c.want)
			}
		}
	}
}

func TestExpressionsAreChecked(t *testing.T) {
	for _, c := range []struct{ regex, replacement, want string }{
		{"(", "/", "regex: missing closing ): `(`"},
		{strings.Repeat("a", 1025), "/", "regex: expected at most 1024 bytes in it, and in the replacement"},
		{"a", strings.Repeat("a", 1025), "regex: expected at most 1024 bytes in it, and in the replacement"},
		{"(a{100}){10}", "/", "regex: it is too complex: smaller counts in {} help"},
		{"a", "/ b", `replacement: ' ' must be percent-encoded`},
		{"a", "/\r\nX: y", `replacement: '\r' must be percent-encoded`},
		{"a", "/é", `replacement: 'é' must be percent-encoded`},
		{"(a)", "/$2", `replacement: the expression has no group "2"; put a number with letters behind it in braces: ${1}x`},
		{"(a)", "/$1x", `replacement: the expression has no group "1x"; put a number with letters behind it in braces: ${1}x`},
		{"(a)", "/${name}", `replacement: the expression has no group "name"; put a number with letters behind it in braces: ${1}x`},
		{"(a)", "/$", "replacement: expected a group such as $1 or ${1} behind \"$\"; \"$$\" is a \"$\""},
		{"(a)", "/${1", "replacement: expected a group such as $1 or ${1} behind \"$\"; \"$$\" is a \"$\""},
		{"(a)", "/${-}", "replacement: expected a group such as $1 or ${1} behind \"$\"; \"$$\" is a \"$\""},
		{"(a)", "/$$1?", "replacement: expected a path, without '?'"},
		{"(a)", "/$1#", "replacement: expected a path, without '#'"},
	} {
		if _, err := NewReplacePath(ReplacePathOptions{Regex: c.regex, Replacement: c.replacement}); err == nil || err.Error() != c.want {
			t.Errorf("%.20q, %.20q\n got %v\nwant %s", c.regex, c.replacement, err, c.want)
		}
	}
	for _, good := range [][2]string{{"(a)", "$1"}, {"(?P<n>a)", "/${n}$n/$0"}, {"a", ""}, {"a", "/$$"}, {"(a{20}){5}", "/"}} {
		if _, err := NewReplacePath(ReplacePathOptions{Regex: good[0], Replacement: good[1]}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestPathsAllocateNothing(t *testing.T) {
	for target, f := range map[string]exchange.Filter{
		"/api/a%20b?c": stripPrefix(t, "/x", "/api"),
		"/other":       stripPrefix(t, "/x", "/api"),
		"/a%20b?c":     addPrefix(t, "/é"),
		"/b?c":         replacePath(t, ReplacePathOptions{Path: "/c"}),
	} {
		eachVersion(t, func(t *testing.T, v codec.Version) {
			if n := allocs(t, v, "GET", target, nil, f); n != 0 {
				t.Errorf("%T %s: %v allocations", f, target, n)
			}
		})
	}
}

// BenchmarkExpression is the time of the longest path for an expression as complex as may be.
func BenchmarkExpression(b *testing.B) {
	for name, pattern := range map[string]string{"usual": `^/v1/(.*)/x$`, "complex": strings.Repeat("a?", 60) + strings.Repeat("a", 60) + "$"} {
		b.Run(name, func(b *testing.B) {
			e, err := newExpression(pattern, "/$0")
			if err != nil {
				b.Fatal(err)
			}
			path := []byte("/v1/" + strings.Repeat("a", maxSubject-6) + "b")
			for b.Loop() {
				_, _ = e.replace(path)
			}
		})
	}
}
