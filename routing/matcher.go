package routing

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"traffic_management/codec"
)

// kind tells what a matcher looks at and how.
type kind uint8

const (
	kindAlways       kind = iota // Host(`*`): every request
	kindNever                    // Host of a shape no request has; value is what was written
	kindHost                     // host equals value
	kindHostWildcard             // host from its first dot on equals value
	kindHostRegexp               // pattern matches the host
	kindPath                     // routing path equals value
	kindPathPrefix               // routing path begins with value
	kindPathRegexp               // pattern matches the routing path
	kindMethod                   // method equals value
	kindHeader                   // a field line called key has value
	kindHeaderRegexp             // pattern matches a field line called key
	kindQuery                    // query parameter key has value
	kindQueryRegexp              // pattern matches a value of query parameter key
	kindClientIP                 // peer lies in network
)

func (k kind) String() string {
	return [...]string{"Host", "Host", "Host", "Host", "HostRegexp", "Path", "PathPrefix", "PathRegexp", "Method",
		"Header", "HeaderRegexp", "Query", "QueryRegexp", "ClientIP"}[k]
}

// matcher is one call of a rule, checked and in the form it is compared. Immutable.
type matcher struct {
	kind    kind
	field   codec.FieldID // Header*: the id of key
	method  codec.Method  // Method: the known one, or MethodOther
	key     string        // Header*, Query*
	value   string
	pattern *regexp.Regexp // *Regexp; value is its source
	network netip.Prefix   // ClientIP
}

func (m *matcher) print(b *strings.Builder) {
	switch m.kind {
	case kindAlways:
		printCall(b, "Host", "*")
	case kindHost:
		printCall(b, "Host", withDot(m.value))
	case kindHostWildcard:
		printCall(b, "Host", "*"+withDot(m.value))
	case kindHeader, kindHeaderRegexp, kindQueryRegexp:
		printCall(b, m.kind.String(), m.key, m.value)
	case kindQuery:
		if m.value == "" {
			printCall(b, "Query", m.key)
			return
		}
		printCall(b, "Query", m.key, m.value)
	case kindClientIP:
		printCall(b, "ClientIP", m.network.String())
	default:
		printCall(b, m.kind.String(), m.value)
	}
}

// same reports whether two matchers are true for the same requests by being written alike.
func (m *matcher) same(o *matcher) bool {
	header := m.kind == kindHeader || m.kind == kindHeaderRegexp
	key := m.key == o.key || header && strings.EqualFold(m.key, o.key)
	return m.kind == o.kind && key && m.value == o.value && m.network == o.network
}

// withDot gives back the trailing dot that makeHost dropped where the value has yet another one.
func withDot(host string) string {
	if strings.HasSuffix(host, ".") {
		return host + "."
	}
	return host
}

// signature is one matcher of the language: its name, how many arguments it takes, and what makes a matcher of them.
// make returns the index of the argument that is wrong, and a message, when m is nil.
type signature struct {
	name     string
	min, max int
	make     func(name string, a []string) (m *matcher, bad int, msg string)
}

var signatures = []signature{
	{"Host", 1, 1, makeHost},
	{"HostRegexp", 1, 1, makeHostRegexp},
	{"Path", 1, 1, makePath(kindPath)},
	{"PathPrefix", 1, 1, makePath(kindPathPrefix)},
	{"PathRegexp", 1, 1, makePathRegexp},
	{"Method", 1, 1, makeMethod},
	{"Header", 2, 2, makeHeader},
	{"HeaderRegexp", 2, 2, makeHeaderRegexp},
	{"Query", 1, 2, makeQuery},
	{"QueryRegexp", 1, 2, makeQueryRegexp},
	{"ClientIP", 1, 1, makeClientIP},
}

// elsewhere has names, in lower case, that operators bring along and that mean nothing here, with what to do instead.
var elsewhere = map[string]string{
	"hostsni":       "HostSNI is for routers of tcp entry points; use Host here",
	"hostsniregexp": "HostSNIRegexp is for routers of tcp entry points; use HostRegexp here",
	"alpn":          "ALPN is for routers of tcp entry points",
	"headers":       "Headers is of the older syntax; use Header",
	"headersregexp": "HeadersRegexp is of the older syntax; use HeaderRegexp",
	"hostheader":    "HostHeader is of the older syntax; use Host",
}

// lookupSignature finds the matcher of this name in one of its four spellings, or says why there is none.
func lookupSignature(name string) (*signature, string) {
	lower := strings.ToLower(name)
	for i := range signatures {
		s := &signatures[i]
		if lower != strings.ToLower(s.name) {
			continue
		}
		if name == s.name || name == lower || name == strings.ToUpper(s.name) || name == s.name[:1]+lower[1:] {
			return s, ""
		}
		return nil, fmt.Sprintf("unknown matcher %s; write %s", name, s.name)
	}
	if msg, ok := elsewhere[lower]; ok {
		return nil, msg
	}
	return nil, fmt.Sprintf("unknown matcher %s; there are Host, HostRegexp, Path, PathPrefix, PathRegexp, Method, Header, "+
		"HeaderRegexp, Query, QueryRegexp and ClientIP", name)
}

// build checks what holds for every matcher, then makes this one. bad is -1 when no single argument is wrong.
func (s *signature) build(args []argument) (m *matcher, bad int, msg string) {
	values := make([]string, len(args))
	for i, a := range args {
		if a.value == "" {
			return nil, i, fmt.Sprintf("argument %d of %s is empty", i+1, s.name)
		}
		values[i] = a.value
	}
	if len(args) < s.min || len(args) > s.max {
		return nil, -1, s.countError(values)
	}
	return s.make(s.name, values)
}

func (s *signature) countError(values []string) string {
	wanted := "1 argument"
	switch {
	case s.max == 2 && s.min == 1:
		wanted = "1 or 2 arguments"
	case s.max == 2:
		wanted = "2 arguments"
	}
	msg := fmt.Sprintf("%s takes %s, here are %d", s.name, wanted, len(values))
	if s.max == 1 && len(values) > 1 {
		var b strings.Builder
		printCall(&b, s.name, values[0])
		b.WriteString(" || ")
		printCall(&b, s.name, values[1])
		msg += "; write " + b.String()
	}
	return msg
}

func isASCII(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(c byte) bool { return c >= 0x80 })
}

// makeHost sorts hosts into what they can match. One trailing dot is dropped here and from the request's host.
func makeHost(name string, a []string) (*matcher, int, string) {
	h := a[0]
	if h == "*" {
		return &matcher{kind: kindAlways, value: h}, 0, ""
	}
	if !isASCII(h) {
		return nil, 0, name + " must be ASCII; write an international name in its xn-- form"
	}
	h = strings.ToLower(h)
	bare := strings.TrimSuffix(h, ".")
	if rest, ok := strings.CutPrefix(bare, "*"); ok {
		if !strings.HasPrefix(rest, ".") {
			return &matcher{kind: kindNever, value: h}, 0, ""
		}
		return &matcher{kind: kindHostWildcard, value: rest}, 0, ""
	}
	if bare == "" {
		return &matcher{kind: kindNever, value: h}, 0, ""
	}
	return &matcher{kind: kindHost, value: bare}, 0, ""
}

func makeHostRegexp(name string, a []string) (*matcher, int, string) {
	if !isASCII(a[0]) {
		return nil, 0, name + " must be ASCII; write an international name in its xn-- form"
	}
	return withPattern(&matcher{kind: kindHostRegexp, value: a[0]}, 0)
}

// withPattern compiles m's value, which is argument number arg.
func withPattern(m *matcher, arg int) (*matcher, int, string) {
	re, err := regexp.Compile(m.value)
	if err != nil {
		return nil, arg, fmt.Sprintf("%s: %s", m.kind, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	m.pattern = re
	return m, 0, ""
}

func makePath(k kind) func(string, []string) (*matcher, int, string) {
	return func(name string, a []string) (*matcher, int, string) {
		if a[0][0] != '/' {
			return nil, 0, fmt.Sprintf("%s must begin with /; write %q", name, "/"+a[0])
		}
		return &matcher{kind: k, value: a[0]}, 0, ""
	}
}

func makePathRegexp(_ string, a []string) (*matcher, int, string) {
	return withPattern(&matcher{kind: kindPathRegexp, value: a[0]}, 0)
}

func makeMethod(_ string, a []string) (*matcher, int, string) {
	m := strings.ToUpper(a[0])
	return &matcher{kind: kindMethod, value: m, method: codec.LookupMethod([]byte(m))}, 0, ""
}

func makeHeader(_ string, a []string) (*matcher, int, string) {
	return &matcher{kind: kindHeader, key: a[0], field: codec.LookupFieldID([]byte(a[0])), value: a[1]}, 0, ""
}

func makeHeaderRegexp(_ string, a []string) (*matcher, int, string) {
	id := codec.LookupFieldID([]byte(a[0]))
	return withPattern(&matcher{kind: kindHeaderRegexp, key: a[0], field: id, value: a[1]}, 1)
}

// makeQuery makes Query(k) and Query(k, v); the first asks for an empty value.
func makeQuery(_ string, a []string) (*matcher, int, string) {
	m := &matcher{kind: kindQuery, key: a[0]}
	if len(a) == 2 {
		m.value = a[1]
	}
	return m, 0, ""
}

func makeQueryRegexp(name string, a []string) (*matcher, int, string) {
	if len(a) == 1 {
		return makeQuery(name, a)
	}
	return withPattern(&matcher{kind: kindQueryRegexp, key: a[0], value: a[1]}, 1)
}

func makeClientIP(name string, a []string) (*matcher, int, string) {
	network, ok := parseNetwork(a[0])
	if !ok {
		return nil, 0, fmt.Sprintf("%s must be an address or a network such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32", name)
	}
	return &matcher{kind: kindClientIP, network: network}, 0, ""
}

// parseNetwork reads an address or CIDR. IPv4 inside IPv6 becomes IPv4, as peers do.
func parseNetwork(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
