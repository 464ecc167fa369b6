package config

import (
	"fmt"
	"strings"
	"time"
)

// LoadBalancer is how a service shares out its requests.
type LoadBalancer struct {
	Strategy       Strategy
	HashOn         HashOn        // for ConsistentHash
	Sticky         *Sticky       // nil: clients are not kept on a server
	SlowStart      time.Duration // 0: a server gets its whole share at once
	PanicThreshold int           // percent of the servers; 0: never
}

func (b *LoadBalancer) keys(o *object) {
	o.key("strategy", choice(&b.Strategy, RoundRobin),
		"in turn; in turn by weight; the server with the fewest requests running; by chance; of two by chance the one with "+
			"fewer requests, or the one expected to answer first; always the same for requests that have `hash_on` in common")
	o.key("hash_on", hashOn(&b.HashOn),
		"for `consistent_hash`: what the requests that go to the same server have in common")
	o.key("sticky", optional(&b.Sticky), "Keeps a client on the server that answered it first.")
	o.key("slow_start_seconds", seconds(&b.SlowStart, 0, 0, daySeconds),
		"the share of a server that joins or recovers grows over this time, in every strategy with weights; 0: whole at once")
	o.key("panic_threshold_percent", integer(&b.PanicThreshold, 10, 0, 100),
		"when a smaller share of the servers is healthy, health and ejection are ignored and all are used; 0: never")
}

// HashKind is a part of a request that its server can depend on.
type HashKind string

// Parts of a request.
const (
	HashClientIP HashKind = "client_ip" // the address of the client
	HashHeader   HashKind = "header"    // a field
	HashCookie   HashKind = "cookie"    // a cookie
	HashPath     HashKind = "path"      // the path of the target
	HashQuery    HashKind = "query"     // a parameter of the query
)

// HashOn is what a request's server depends on.
type HashOn struct {
	Kind HashKind
	Name string // of the field, cookie or parameter; empty for the other kinds
}

// String is the value as the file has it.
func (h HashOn) String() string {
	if h.Name == "" {
		return string(h.Kind)
	}
	return string(h.Kind) + ":" + h.Name
}

func hashOn(dst *HashOn) value {
	first := HashOn{Kind: HashClientIP}
	form := shape{kind: kindText, initial: first.String()}
	form.expected = "client_ip, header:NAME, cookie:NAME, path or query:NAME"
	form.pattern = `^(client_ip|path|(header|cookie):` + tokenPattern + `|query:.+)$`
	return scalar[HashOn]{dst, first, form, parseHashOn}
}

func parseHashOn(s string) (HashOn, error) {
	kind, name, named := strings.Cut(s, ":")
	h := HashOn{HashKind(kind), name}
	switch h.Kind {
	case HashClientIP, HashPath:
		if !named {
			return h, nil
		}
	case HashHeader, HashCookie:
		if isToken(name) {
			return h, nil
		}
		if name != "" {
			return HashOn{}, fmt.Errorf("%q is no name of a %s", name, kind)
		}
	case HashQuery:
		if name != "" {
			return h, nil
		}
	}
	return HashOn{}, errForm
}

// Sticky keeps a client on one server.
type Sticky struct {
	Cookie StickyCookie
}

func (s *Sticky) keys(o *object) {
	o.require("cookie", section(&s.Cookie), "The cookie that remembers the server.")
}

// StickyCookie is the cookie that names the server of a client, without telling which one it is.
type StickyCookie struct {
	Name     string // a token
	Secure   bool
	HTTPOnly bool
	SameSite SameSite
	MaxAge   time.Duration // 0: until the client ends its session
	Secret   Secret        // empty: one of the machine's own
}

func (c *StickyCookie) keys(o *object) {
	o.require("name", token(&c.Name, "", "a cookie's name"), "its name")
	o.key("secure", boolean(&c.Secure, false), "clients send it over TLS only")
	o.key("http_only", boolean(&c.HTTPOnly, true), "scripts of pages do not see it")
	o.key("same_site", choice(&c.SameSite, SameSiteLax), "whether requests that other sites cause carry it; `none` needs `secure`")
	o.key("max_age_seconds", seconds(&c.MaxAge, 0, 0, 10*365*daySeconds), "how long clients keep it; 0: until they end their session")
	o.key("secret", secret(&c.Secret),
		"the values of the cookie are made with it: give proxies that share their clients the same; otherwise that of the machine")
}

// checkBalancer tells of a key that the strategy has no use for, and of a cookie that clients would not take.
func (l *loader) checkBalancer(path string, b *LoadBalancer) {
	hash := path + ".hash_on"
	if l.given(hash) && b.Strategy != ConsistentHash && !l.refused(path+".strategy") {
		l.wrong(hash, "only for the strategy %s, this one is %s", ConsistentHash, b.Strategy)
	}
	if b.Sticky == nil || b.Sticky.Cookie.Secure {
		return
	}
	path += ".sticky.cookie"
	c := &b.Sticky.Cookie
	if c.SameSite == SameSiteNone {
		l.wrong(path+".same_site", "clients refuse such a cookie unless secure is true")
	}
	// RFC 6265bis section 4.1.3: names with these prefixes promise it.
	if name := strings.ToLower(c.Name); strings.HasPrefix(name, "__secure-") || strings.HasPrefix(name, "__host-") {
		l.wrong(path+".name", "clients refuse a cookie of this name unless secure is true")
	}
}
