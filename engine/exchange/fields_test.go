package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/routing"
)

// filterFunc is a filter that is a function.
type filterFunc func(x *exchange.Exchange) exchange.Verdict

func (f filterFunc) Request(x *exchange.Exchange) exchange.Verdict { return f(x) }

// routes gives the scene one route, of this rule and, unless it is nil, with this filter.
func (s *scene) routes(rule string, f exchange.Filter) {
	s.t.Helper()
	parsed, err := routing.Parse(rule)
	if err != nil {
		s.t.Fatal(err)
	}
	if f != nil {
		s.route.Chain = exchange.NewChain(f)
	}
	s.entry.Env.Table = routing.NewTable([]routing.Entry[*exchange.Route]{{Name: "r", Rule: parsed, Value: s.route}})
}

// A path that is brought into its one form and then decoded is seen the same by rules whichever memory it is in: an
// exchange that is used again has room for both.
func TestRulesSeeDecodedPaths(t *testing.T) {
	s := newScene(t)
	s.routes("Path(`/café au lait`)", nil)
	c := s.caller(nil)
	for i, target := range []string{"/caf%C3%A9%20au%20lait", "//caf%C3%A9%20au%20lait", "/caf%c3%a9%20au%20lait",
		"/x/../caf%C3%A9%20au%20lait", "/%63af%c3%a9%20au%20lait"} {
		c.asks(head("GET", "a.test", target, codec.NoContent))
		s.replies("HTTP/1.1 204 No Content\r\n\r\n")
		if got := fmt.Sprint(c.heard); got != "[204 end]" {
			t.Errorf("%d: %s: %s", i, target, got)
		}
	}
}

func TestSetPath(t *testing.T) {
	for _, c := range []struct{ path, query, forwarded, routed string }{
		{"/a/b", "", "/a/b", "/a/b"},
		{"/a/b", "c=d", "/a/b?c=d", "/a/b"},
		{"a", "", "/a", "/a"},
		{"", "", "/", "/"},
		{"*", "", "/*", "/*"},
		{"//evil.test/x", "", "/evil.test/x", "/evil.test/x"},
		{"/a/../../b", "", "/b", "/b"},
		{"/a/%2e%2E/b", "", "/b", "/b"},
		{"/a%2f..%2fb", "", "/a%2F..%2Fb", "/a%2F..%2Fb"},
		{"/%252e%252e/b", "", "/%252e%252e/b", "/%252e%252e/b"},
		{"/a b\r\nX: y", "q", "/a%20b%0D%0AX:%20y?q", "/a b\r\nX: y"},
		{"/a?b#c", "", "/a%3Fb%23c", "/a%3Fb%23c"},
		{"/é", "", "/%C3%A9", "/é"},
		{"/a\x00", "", "400", "/from"},
		{"/a%00", "", "400", "/from"},
		{"/a%", "", "400", "/from"},
		{"/a%zz", "", "400", "/from"},
	} {
		s := newScene(t)
		routed, asked := "", ""
		s.routes("Path(`/from`)", filterFunc(func(x *exchange.Exchange) exchange.Verdict {
			var query []byte
			if c.query != "" {
				query = []byte(c.query)
			}
			e := x.SetPath([]byte(c.path), query)
			routed = string(x.Path())
			if e != nil {
				x.Refuse(e)
				return exchange.Answered
			}
			return exchange.Next
		}))
		s.observed = func(x *exchange.Exchange) {
			authority, path, query := x.Asked()
			asked = fmt.Sprintf("%s %s %s", authority, path, query)
		}
		client := s.caller(nil)
		client.asks(head("OPTIONS", "a.test", "/from?q=1", codec.NoContent))
		got := strings.Join(client.heard, "")
		if !strings.HasPrefix(got, "400") {
			got = strings.Fields(s.replies("HTTP/1.1 204 No Content\r\n\r\n"))[1]
		}
		if got = strings.SplitN(got, " ", 2)[0]; got != c.forwarded || routed != c.routed {
			t.Errorf("%q: %q is forwarded and %q is what rules see, want %q and %q", c.path, got, routed, c.forwarded, c.routed)
		}
		if asked != "a.test /from q=1" {
			t.Errorf("%q: the observer saw %s", c.path, asked)
		}
	}
}

// What a filter has decided on is not brought back by the client's trailers, under no name that a server takes for it.
func TestTrailersDoNotUndoFields(t *testing.T) {
	s := newScene(t)
	s.routes("PathPrefix(`/`)", filterFunc(func(x *exchange.Exchange) exchange.Verdict {
		x.SetField(codec.Field{Name: []byte("X-User"), Value: []byte("ann")})
		x.SetField(codec.Field{Name: []byte("X-Role")})
		return exchange.Next
	}))
	for range 2 { // an exchange that is used again has forgotten nothing and keeps nothing
		c := s.caller(nil)
		c.asks(head("POST", "a.test", "/", codec.ByEndStream, "te: trailers"))
		c.says("some", false)
		names := []string{"x-user", "X_User", "x.role", "x-sum"}
		var trailers []codec.Field
		for _, n := range names {
			trailers = append(trailers, codec.Field{Name: []byte(n), Value: []byte("eve"), ID: codec.LookupFieldID([]byte(n))})
		}
		c.x.RequestTrailers(trailers)
		s.loop.Run()
		got := s.replies("HTTP/1.1 204 No Content\r\n\r\n")
		if _, section, _ := strings.Cut(got, "\r\n0\r\n"); section != "x-sum: eve\r\n\r\n" || !strings.Contains(got, "X-User: ann\r\n") {
			t.Errorf("the server got %q", got)
		}
	}
}
