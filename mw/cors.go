package mw

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// CORSOptions says which pages of other origins may read the responses (Fetch standard, section 3.2).
type CORSOptions struct {
	AllowOrigins     []string // "https://host", "https://*.host" with one label for the "*", or "*" alone
	AllowMethods     []string
	AllowHeaders     []string // "*": all, but for Authorization
	ExposeHeaders    []string
	AllowCredentials bool // not together with a "*"
	MaxAge           time.Duration
}

// cors answers preflights and marks responses. Immutable.
type cors struct {
	origins     []originPattern
	any         bool // every origin; origins is empty
	credentials bool
	preflight   []codec.Field // of its answer to an origin that is allowed
	expose      []byte        // nil: no field
}

// originPattern is an origin, or all that one label stands between the parts of.
type originPattern struct {
	before string
	after  string // from the "." on; empty: before is all
}

// Names and values of its fields.
var (
	nameAllowOrigin      = []byte("Access-Control-Allow-Origin")
	nameAllowCredentials = []byte("Access-Control-Allow-Credentials")
	nameExposeHeaders    = []byte("Access-Control-Expose-Headers")
	valueStar            = []byte("*")
	valueTrue            = []byte("true")
	valueOrigin          = []byte("Origin")
)

// newCORS compiles the options. The error is an OptionError.
func newCORS(o *CORSOptions) (*cors, error) {
	c := &cors{credentials: o.AllowCredentials}
	if len(o.AllowOrigins) == 0 {
		return nil, wrong("cors.allow_origins", "expected at least one origin")
	}
	for i, origin := range o.AllowOrigins {
		key := fmt.Sprintf("cors.allow_origins[%d]", i)
		switch p, ok := parseOrigin(origin); {
		case origin == "*" && o.AllowCredentials:
			return nil, wrong(key, `"*" does not go with allow_credentials: any site could act as the user`)
		case origin == "*":
			c.any = true
		case !ok:
			return nil, wrong(key, `expected "*", or an origin such as https://example.com or https://*.example.com`)
		default:
			c.origins = append(c.origins, p)
		}
	}
	if c.any {
		c.origins = nil
	}
	for _, list := range [...]struct {
		key   string
		words []string
	}{{"allow_methods", o.AllowMethods}, {"allow_headers", o.AllowHeaders}, {"expose_headers", o.ExposeHeaders}} {
		for i, word := range list.words {
			key := fmt.Sprintf("cors.%s[%d]", list.key, i)
			switch {
			case !codec.IsToken([]byte(word)):
				return nil, wrong(key, "expected a name")
			case word == "*" && o.AllowCredentials:
				return nil, wrong(key, `"*" means nothing together with allow_credentials`)
			}
		}
	}
	c.preflight = appendList(c.preflight, "Access-Control-Allow-Methods", o.AllowMethods)
	c.preflight = appendList(c.preflight, "Access-Control-Allow-Headers", o.AllowHeaders)
	if o.MaxAge > 0 {
		c.preflight = append(c.preflight, codec.Field{Name: []byte("Access-Control-Max-Age"),
			Value: strconv.AppendInt(nil, int64(o.MaxAge/time.Second), 10)})
	}
	if len(o.ExposeHeaders) > 0 {
		c.expose = []byte(strings.Join(o.ExposeHeaders, ", "))
	}
	return c, nil
}

func appendList(fields []codec.Field, name string, words []string) []codec.Field {
	if len(words) == 0 {
		return fields
	}
	return append(fields, codec.Field{Name: []byte(name), Value: []byte(strings.Join(words, ", "))})
}

// parseOrigin reads an origin as a browser writes it (RFC 6454 section 6.2), but for the case, a default port and the "*".
func parseOrigin(s string) (p originPattern, ok bool) {
	s = strings.ToLower(s)
	scheme, authority, found := strings.Cut(s, "://")
	if !found || scheme != "http" && scheme != "https" || !codec.ValidAuthority([]byte(authority)) {
		return p, false
	}
	port := map[string]string{"http": ":80", "https": ":443"}[scheme]
	s = strings.TrimSuffix(s, port)
	before, after, wild := strings.Cut(s, "*")
	if !wild {
		return originPattern{before: s}, true
	}
	host := after[:codec.PortColon([]byte(after))]
	_, err := netip.ParseAddr(strings.TrimPrefix(host, "."))
	if before != scheme+"://" || len(host) < 2 || host[0] != '.' || strings.Contains(after, "*") || err == nil {
		return p, false
	}
	return originPattern{before, after}, true
}

// allows reports whether a page of this origin may read responses.
func (c *cors) allows(origin []byte) bool {
	return c.any || slices.ContainsFunc(c.origins, func(p originPattern) bool { return p.matches(origin) })
}

func (p *originPattern) matches(origin []byte) bool {
	if p.after == "" {
		return string(origin) == p.before
	}
	n := len(origin) - len(p.before) - len(p.after)
	if n <= 0 || string(origin[:len(p.before)]) != p.before || string(origin[len(p.before)+n:]) != p.after {
		return false
	}
	for _, b := range origin[len(p.before) : len(p.before)+n] {
		if b != '-' && b != '_' && codec.Classes[b]&codec.ClassDigit == 0 && (b < 'a' || b > 'z') {
			return false
		}
	}
	return true
}

// request answers a preflight, and notes the origin that a response is to be marked for: filters may change the field
// before a response comes.
func (c *cors) request(x *exchange.Exchange) exchange.Verdict {
	h := &x.RequestHead
	i := slices.IndexFunc(h.Fields, func(f codec.Field) bool { return f.ID == codec.FieldOrigin })
	if i < 0 {
		return exchange.Next
	}
	origin := &h.Fields[i]
	allowed := c.allows(origin.Value)
	if h.Method == codec.MethodOptions {
		if _, asks := h.Lookup("Access-Control-Request-Method"); asks {
			c.answer(x, origin, allowed)
			return exchange.Answered
		}
	}
	if allowed {
		x.SetState(origin)
	}
	return exchange.Next
}

// answer answers a preflight from an origin.
func (c *cors) answer(x *exchange.Exchange, origin *codec.Field, allowed bool) {
	var room [8]codec.Field
	fields := room[:0]
	if !c.any {
		fields = append(fields, codec.NewField(codec.FieldVary, valueOrigin))
	}
	if allowed {
		fields = append(c.mark(fields, origin), c.preflight...)
	}
	x.Respond(204, fields, nil)
}

// mark adds the fields that let an origin in.
func (c *cors) mark(fields []codec.Field, origin *codec.Field) []codec.Field {
	f := codec.Field{Name: nameAllowOrigin, Value: origin.Value}
	if c.any {
		f.Value = valueStar
	}
	fields = append(fields, f)
	if c.credentials {
		fields = append(fields, codec.Field{Name: nameAllowCredentials, Value: valueTrue})
	}
	return fields
}

// response marks a response for the origin that asked, in place of what the server says of that.
func (c *cors) response(x *exchange.Exchange, h *codec.Head) {
	h.RemoveName(nameAllowOrigin)
	h.RemoveName(nameAllowCredentials)
	h.RemoveName(nameExposeHeaders)
	if !c.any {
		vary(x, h, valueOrigin)
	}
	origin, allowed := x.State().(*codec.Field)
	if !allowed {
		return
	}
	h.Fields = c.mark(h.Fields, origin)
	if c.expose != nil {
		h.Fields = append(h.Fields, codec.Field{Name: nameExposeHeaders, Value: c.expose})
	}
}
