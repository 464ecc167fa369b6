package routing

import (
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"traffic_management/codec"
)

// sample is a request in plain strings, for tests.
type sample struct {
	method, authority, path, query string
	fields                         [][2]string
	peer                           string
}

func (s sample) String() string {
	return fmt.Sprintf("%s host=%q path=%q query=%q fields=%q peer=%s", s.method, s.authority, s.path, s.query, s.fields, s.peer)
}

// request makes what Match takes.
func (s sample) request() *Request {
	h := &codec.Head{
		Method:     codec.LookupMethod([]byte(s.method)),
		MethodName: []byte(s.method),
		Authority:  []byte(s.authority),
		Path:       []byte(s.path),
		Query:      []byte(s.query),
	}
	for _, f := range s.fields {
		h.Fields = append(h.Fields, codec.Field{
			Name: []byte(f[0]), Value: []byte(f[1]), ID: codec.LookupFieldID([]byte(f[0])),
		})
	}
	peer, _ := netip.ParseAddr(s.peer)
	return &Request{Head: h, Path: []byte(s.path), Peer: peer}
}

// naive evaluates a rule straight from Go's syntax tree with the standard library. It shares nothing with the package.
type naive struct {
	tree     ast.Expr
	patterns map[string]*regexp.Regexp
}

func newNaive(t testing.TB, text string) naive {
	e, err := goparser.ParseExprFrom(token.NewFileSet(), "", text, 0)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return naive{e, map[string]*regexp.Regexp{}}
}

func (n naive) matches(s sample) bool { return n.eval(n.tree, s) }

func (n naive) eval(e ast.Expr, s sample) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return n.eval(e.X, s)
	case *ast.UnaryExpr:
		return !n.eval(e.X, s)
	case *ast.BinaryExpr:
		if e.Op == token.LAND {
			return n.eval(e.X, s) && n.eval(e.Y, s)
		}
		return n.eval(e.X, s) || n.eval(e.Y, s)
	case *ast.CallExpr:
		var args []string
		for _, a := range e.Args {
			v, err := strconv.Unquote(a.(*ast.BasicLit).Value)
			if err != nil {
				panic(err)
			}
			args = append(args, v)
		}
		return n.call(strings.ToLower(e.Fun.(*ast.Ident).Name), args, s)
	}
	panic(fmt.Sprintf("%T", e))
}

func (n naive) re(pattern, s string) bool {
	if n.patterns[pattern] == nil {
		n.patterns[pattern] = regexp.MustCompile(pattern)
	}
	return n.patterns[pattern].MatchString(s)
}

func (n naive) call(name string, a []string, s sample) bool {
	host := s.authority
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	switch name {
	case "host":
		return naiveHost(strings.ToLower(a[0]), host)
	case "hostregexp":
		return n.re(a[0], host)
	case "path":
		return s.path == a[0]
	case "pathprefix":
		return strings.HasPrefix(s.path, a[0])
	case "pathregexp":
		return n.re(a[0], s.path)
	case "method":
		return s.method == strings.ToUpper(a[0])
	case "header", "headerregexp":
		fields := http.Header{}
		for _, f := range s.fields {
			fields.Add(f[0], f[1])
		}
		fields.Del("Host")
		return slices.ContainsFunc(fields.Values(a[0]), func(v string) bool {
			return name == "header" && v == a[1] || name == "headerregexp" && n.re(a[1], v)
		})
	case "query", "queryregexp":
		values, _ := url.ParseQuery(strings.ReplaceAll(s.query, ";", "&"))
		return slices.ContainsFunc(values[a[0]], func(v string) bool {
			if len(a) == 1 {
				return v == ""
			}
			return name == "query" && v == a[1] || name == "queryregexp" && n.re(a[1], v)
		})
	case "clientip":
		peer := net.ParseIP(s.peer)
		if ip := net.ParseIP(a[0]); ip != nil {
			return ip.Equal(peer)
		}
		_, network, err := net.ParseCIDR(a[0])
		return err == nil && peer != nil && network.Contains(peer)
	}
	panic(name)
}

func naiveHost(rule, host string) bool {
	if rule == "*" {
		return true
	}
	rule, host = strings.TrimSuffix(rule, "."), strings.TrimSuffix(host, ".")
	if host == "" {
		return false
	}
	if strings.HasPrefix(rule, "*") {
		labels := strings.Split(host, ".")
		labels[0] = "*"
		return len(labels) > 1 && strings.Join(labels, ".") == rule
	}
	return rule == host
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func randomHost(r *rand.Rand) string {
	return pick(r, "a.com", "b.com", "x.a.com", "y.a.com", "y.x.a.com", "A.Com.", "localhost", "1.2.3.4")
}

func randomPath(r *rand.Rand) string {
	path := "/"
	for range r.IntN(4) {
		path += pick(r, "a", "b", "ab", "/", "a/", "%2F", "é", "aab")
	}
	return path
}

// randomRule writes a rule of a small vocabulary, so that rules overlap and requests match often.
func randomRule(r *rand.Rand, depth int) string {
	if depth > 0 {
		switch r.IntN(6) {
		case 0, 1:
			return "(" + randomRule(r, depth-1) + " && " + randomRule(r, depth-1) + ")"
		case 2:
			return randomRule(r, depth-1) + "&&" + randomRule(r, depth-1)
		case 3:
			return "(" + randomRule(r, depth-1) + ") ||\n " + randomRule(r, depth-1)
		case 4:
			return "!(" + randomRule(r, depth-1) + ")"
		}
	}
	return pick(r, "", "", "", "", "!") + randomCall(r)
}

func randomCall(r *rand.Rand) string {
	call := func(name string, args ...string) string {
		for i := range args {
			args[i] = strconv.Quote(args[i])
		}
		return pick(r, name, strings.ToLower(name), strings.ToUpper(name)) + "(" + strings.Join(args, ", ") + ")"
	}
	switch r.IntN(16) {
	case 0, 1, 2:
		return call("Host", randomHost(r))
	case 3:
		return call("Host", pick(r, "*.a.com", "*.x.a.com", "*", "*.com.", "*a.com"))
	case 4:
		return call("HostRegexp", pick(r, `^[xy]\.a`, `com$`, `^A`, `.`))
	case 5, 6:
		return call("Path", randomPath(r))
	case 7, 8, 9:
		return call("PathPrefix", randomPath(r))
	case 10:
		return call("PathRegexp", pick(r, "^/a+$", "b", "[^/]$"))
	case 11:
		return call("Method", pick(r, "GET", "post", "Purge"))
	case 12:
		return call(pick(r, "Header", "HeaderRegexp"), pick(r, "accept", "X-A", "Host"), pick(r, "1", "a.com", "1,2"))
	case 13:
		return call(pick(r, "Query", "QueryRegexp"), pick(r, "k", "K"), pick(r, "1", "a b"))
	case 14:
		return call(pick(r, "Query", "QueryRegexp"), pick(r, "k", "K"))
	}
	return call("ClientIP", pick(r, "10.0.0.1", "10.0.0.0/8", "2001:db8::/32", "::ffff:10.0.0.2", "0.0.0.0/0"))
}

func randomSample(r *rand.Rand) sample {
	s := sample{
		method:    pick(r, "GET", "POST", "PURGE", "get"),
		authority: randomHost(r) + pick(r, "", "", ":8080"),
		path:      randomPath(r),
		query:     pick(r, "", "", "k", "k=1", "K=&k=%31", "k=a+b;K", "k=%zz&K=1", "=1&k=a%20b", "%6b=1&&"),
		peer:      pick(r, "10.0.0.1", "10.9.9.9", "::ffff:10.0.0.2", "2001:db8::1", "192.0.2.1"),
	}
	if r.IntN(20) == 0 {
		s.authority = pick(r, "", "[::1]:80", "[2001:db8::1]", ".", ".a.com")
	}
	for range r.IntN(3) {
		s.fields = append(s.fields, [2]string{pick(r, "Accept", "x-a", "HOST"), pick(r, "1", "2", "1,2", "a.com")})
	}
	return s
}
