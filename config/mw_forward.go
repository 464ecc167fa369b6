package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// ForwardAuth is a server that decides which requests may pass.
type ForwardAuth struct {
	Address            RequestURL
	TLS                *ServiceTLS // nil: as the defaults are
	Timeout            time.Duration
	RequestHeaders     []string // empty: the default of the reference
	ResponseHeaders    []string
	TrustForwardHeader bool
}

func (f *ForwardAuth) keys(o *object) {
	header := func(dst *string) value { return token(dst, "", "the name of a field") }
	o.require("address", requestURL(&f.Address), "what the server is asked for, once for each request")
	o.key("response_headers", list(&f.ResponseHeaders, 0, header),
		"fields of its answer that the request is given; whatever the client sent by these names is removed")
	o.key("request_headers", list(&f.RequestHeaders, 0, header),
		"fields of the client's that it is shown, beside `X-Forwarded-*`; without them `Accept`, `Authorization`, `Cookie`, "+
			"`User-Agent` and `X-Requested-With`")
	o.key("timeout_ms", milliseconds(&f.Timeout, 5000, 1, dayMillis), "longest wait for the head of its answer; 503 after it")
	o.key("tls", optional(&f.TLS), "How connections to it are secured, where its address is `https://`.")
	o.key("trust_forward_header", boolean(&f.TrustForwardHeader, false),
		"it is told what a trusted peer said about where the request came from, instead of what the connection says")
}

// Service is the group of one server that the requests go to, with the defaults of any other.
func (f *ForwardAuth) Service() *Service {
	s := new(Service)
	section(s).reset()
	s.Servers, s.TLS = []Server{{URL: f.Address.Server, Weight: 1}}, f.TLS
	s.Timeouts.Request = f.Timeout
	s.Timeouts.Connect = min(s.Timeouts.Connect, f.Timeout)
	s.Timeouts.Queue = min(s.Timeouts.Queue, f.Timeout)
	return s
}

// ForwardAuthService is the name of the service that a middleware of this name stands for.
func ForwardAuthService(middleware string) string { return middleware + "@forward_auth" }

// RequestURL is a server, and what it is asked for.
type RequestURL struct {
	Server ServerURL
	Path   string // escaped; never empty
	Query  string // without "?"; empty for none
}

// String is the URL in one spelling.
func (u RequestURL) String() string {
	if u.Query == "" {
		return u.Server.String() + u.Path
	}
	return u.Server.String() + u.Path + "?" + u.Query
}

func requestURL(dst *RequestURL) value {
	form := shape{kind: kindText, expected: "http://host:port/path or https://host:port/path"}
	form.pattern = `^https?://([^:/?#@\s]+|\[[^\]\s]+\])(:[0-9]+)?([/?][!"$-~]*)?$`
	return scalar[RequestURL]{dst, RequestURL{}, form, parseRequestURL}
}

func parseRequestURL(s string) (RequestURL, error) {
	scheme, rest, _ := strings.Cut(s, "://")
	if Scheme(scheme) != SchemeHTTP && Scheme(scheme) != SchemeHTTPS || strings.ContainsFunc(rest, notInTarget) {
		return RequestURL{}, errForm
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	server, err := parseServerURL(scheme + "://" + rest[:end])
	u := RequestURL{Server: server}
	u.Path, u.Query, _ = strings.Cut(rest[end:], "?")
	if u.Path == "" {
		u.Path = "/"
	}
	return u, err
}

// ErrorPages is which responses get the content of a page.
type ErrorPages struct {
	Status  []StatusRange
	Service string // name of a key of Config.Services
	Path    string
}

func (e *ErrorPages) keys(o *object) {
	o.require("status", list(&e.Status, 1, failure), "codes of the responses whose content is replaced")
	o.require("service", text(&e.Service, "", "the name of a service"), "the service that has the pages")
	o.require("path", path(&e.Path), "what it is asked for; `{status}` stands for the code")
}

// failure is a status code that says that something is wrong.
func failure(dst *StatusRange) value {
	v := status(dst).(scalar[StatusRange])
	v.form.expected, v.form.min = "a status code from 400 to 599 or a range such as 500-599", 400
	v.form.pattern = `^[45][0-9]{2}(-[45][0-9]{2})?$`
	v.parse = func(s string) (StatusRange, error) {
		r, err := parseStatus(s)
		if err == nil && r.Low < 400 {
			err = errors.New("below 400 nothing is wrong")
		}
		return r, err
	}
	return v
}

// Buffering is whose content is read whole before it goes on.
type Buffering struct {
	MaxRequestBody  int64 // 0: that of no request
	MaxResponseBody int64 // 0: that of no response
}

func (b *Buffering) keys(o *object) {
	o.key("max_request_body_bytes", integer(&b.MaxRequestBody, 0, 0, maxBuffered),
		"a server gets a request when its whole body is there; 413 for larger ones; 0: as it comes, of any size")
	o.key("max_response_body_bytes", integer(&b.MaxResponseBody, 0, 0, maxBuffered),
		"a client gets a response when its whole body is there; 502 for larger ones; 0: as it comes, of any size")
}

// maxBuffered is the most memory that a file can give one message.
const maxBuffered = 1 << 30

// Mirror is a service that gets copies of requests.
type Mirror struct {
	Service string // name of a key of Config.Services
	Percent float64
}

func (m *Mirror) keys(o *object) {
	o.require("service", text(&m.Service, "", "the name of a service"), "the service that gets copies of requests")
	o.key("percent", number(&m.Percent, 100, 0, 100), "share of the requests that are copied, chosen at random")
}

// checkForwarding tells of services that middlewares name and that are none, and of a name that is taken.
func (l *loader) checkForwarding(c *Config, name string) {
	m, path := c.Middlewares[name], "middlewares."+name
	known := func(key, service string) {
		if _, ok := c.Services[service]; !ok && service != "" {
			l.unknownName(path+key, "service", service, slices.Sorted(maps.Keys(c.Services)))
		}
	}
	if e := m.ErrorPages; e != nil {
		known(".error_pages.service", e.Service)
	}
	if v := m.Mirror; v != nil {
		known(".mirror.service", v.Service)
	}
	if f := m.ForwardAuth; f != nil && f.TLS != nil {
		l.checkClientTLS(path+".forward_auth.tls", f.TLS, l.refused(path+".forward_auth.address") || f.Address.Server.Scheme == SchemeHTTPS,
			"an address that is https://")
	}
	if own := ForwardAuthService(name); m.ForwardAuth != nil && c.Services[own] != nil {
		l.wrong(path+".forward_auth", "there is a service of the name %q, which is that of its server", own)
	}
	if b := m.Buffering; b != nil && b.MaxRequestBody == 0 && b.MaxResponseBody == 0 &&
		!l.anyRefused(path+".buffering", "max_request_body_bytes", "max_response_body_bytes") {
		l.wrong(path+".buffering", "does nothing, expected max_request_body_bytes or max_response_body_bytes above 0")
	}
}
