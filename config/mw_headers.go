package config

import (
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Headers is which fields of requests and responses are changed.
type Headers struct {
	RequestHeaders  []Field
	RequestAppend   []Field // further lines; their values are not empty
	ResponseHeaders []Field
	ResponseAppend  []Field   // as RequestAppend
	Security        *Security // nil: nothing of it
	CORS            *CORS     // nil: browsers keep other origins out, as the servers have it
}

func (h *Headers) keys(o *object) {
	const variables = "; `${client_cert_subject}`, `${client_ip}`, `${host}`, `${method}`, `${path}`, `${request_id}`, " +
		"`${timestamp}` and `${uuid}` stand for what they are of the request"
	o.key("request_headers", fieldTemplates(&h.RequestHeaders, fieldTemplate),
		"fields that servers get, whatever the client sent of that name; `\"\"` removes; `Host` is the host that servers are asked for"+variables)
	o.key("request_headers_append", fieldTemplates(&h.RequestAppend, fieldLine),
		"a line more of these fields, beside what the client sent and `request_headers` sets; not of those that a message has once; "+
			"variables as above")
	o.key("response_headers", fieldTemplates(&h.ResponseHeaders, fieldTemplate),
		"fields that clients get, whatever the server sent of that name; `\"\"` removes; variables as above")
	o.key("response_headers_append", fieldTemplates(&h.ResponseAppend, fieldLine),
		"a line more of these fields, beside what the server sent and `response_headers` sets, as `Set-Cookie`; variables as above")
	o.key("security", optional(&h.Security), "Fields that tell browsers to be careful, where the server has none of that name.")
	o.key("cors", optional(&h.CORS), "Lets pages of other origins in: preflights are answered, responses marked.")
}

// Field is a field to be set.
type Field struct {
	Name  string
	Value string // with ${name} for variables; empty: all of the name are to be removed
}

// Security is fields that tell browsers to be careful.
type Security struct {
	HSTSMaxAge            time.Duration // 0: no such field, as with empty texts
	HSTSIncludeSubdomains bool
	HSTSPreload           bool
	FrameOptions          FrameOptions
	ContentTypeNosniff    bool
	ReferrerPolicy        ReferrerPolicy
	PermissionsPolicy     string
}

// yearSeconds is what lists of preloaded hosts ask for at least.
const yearSeconds = 365 * 24 * 60 * 60

func (s *Security) keys(o *object) {
	o.key("hsts_max_age_seconds", seconds(&s.HSTSMaxAge, yearSeconds, 0, 10*yearSeconds),
		"`Strict-Transport-Security`, over TLS alone: how long browsers come back over TLS only; 0: none")
	o.key("hsts_include_subdomains", boolean(&s.HSTSIncludeSubdomains, false), "the same for all hosts below")
	o.key("hsts_preload", boolean(&s.HSTSPreload, false), "may be built into browsers; with a year and subdomains only")
	o.key("frame_options", choice(&s.FrameOptions, FrameSameOrigin), "`X-Frame-Options`: which sites may show a page in a frame")
	o.key("content_type_nosniff", boolean(&s.ContentTypeNosniff, true), "`X-Content-Type-Options: nosniff`")
	o.key("referrer_policy", choice(&s.ReferrerPolicy, ReferrerStrictOrigin),
		"`Referrer-Policy`: what links tell of where they are")
	o.key("permissions_policy", fieldValue(&s.PermissionsPolicy), "`Permissions-Policy`")
}

// FrameOptions is which sites may show a page in a frame.
type FrameOptions string

// Values of X-Frame-Options.
const (
	FrameOff        FrameOptions = "off" // no such field
	FrameDeny       FrameOptions = "deny"
	FrameSameOrigin FrameOptions = "sameorigin"
)

func (FrameOptions) words() []FrameOptions {
	return []FrameOptions{FrameOff, FrameDeny, FrameSameOrigin}
}

// ReferrerPolicy is what the Referer field tells the sites that a page links to.
type ReferrerPolicy string

// Values of Referrer-Policy that keep at least the path from others.
const (
	ReferrerOff          ReferrerPolicy = "off" // no such field
	ReferrerNone         ReferrerPolicy = "no-referrer"
	ReferrerSameOrigin   ReferrerPolicy = "same-origin"
	ReferrerOrigin       ReferrerPolicy = "strict-origin"
	ReferrerStrictOrigin ReferrerPolicy = "strict-origin-when-cross-origin"
)

func (ReferrerPolicy) words() []ReferrerPolicy {
	return []ReferrerPolicy{ReferrerOff, ReferrerNone, ReferrerSameOrigin, ReferrerOrigin, ReferrerStrictOrigin}
}

// CORS is which pages of other origins may read responses.
type CORS struct {
	AllowOrigins     []string
	AllowMethods     []string
	AllowHeaders     []string
	ExposeHeaders    []string
	AllowCredentials bool
	MaxAge           time.Duration
}

func (c *CORS) keys(o *object) {
	o.require("allow_origins", list(&c.AllowOrigins, 1, name("an origin such as https://example.com")),
		"origins as browsers write them; `https://*.example.com` is any host one label below; `\"*\"` alone is every origin")
	o.key("allow_methods", list(&c.AllowMethods, 0, tokens("a method")), "methods beside GET, HEAD and POST")
	o.key("allow_headers", list(&c.AllowHeaders, 0, tokens("a field name")), "fields that requests may have beside the usual ones")
	o.key("expose_headers", list(&c.ExposeHeaders, 0, tokens("a field name")), "fields that pages may read beside the usual ones")
	o.key("allow_credentials", boolean(&c.AllowCredentials, false), "pages may act as the user, with cookies; not with a `\"*\"`")
	o.key("max_age_seconds", seconds(&c.MaxAge, 0, 0, daySeconds), "how long browsers remember the answer to a preflight; 0: as they like")
}

// tokens describes the elements of a list of tokens.
func tokens(expected string) func(*string) value {
	return func(dst *string) value { return token(dst, "", expected) }
}

// check tells of what browsers do not take.
func (h *Headers) check(l *loader, path string) {
	s := h.Security
	if s != nil && s.HSTSPreload && (s.HSTSMaxAge < yearSeconds*time.Second || !s.HSTSIncludeSubdomains) {
		l.wrong(path+".security.hsts_preload", "expected it with hsts_include_subdomains and an hsts_max_age_seconds of %d or more",
			yearSeconds)
	}
}

// fieldTemplates is a mapping from field names to values that may have variables, each of which element describes.
func fieldTemplates(dst *[]Field, element func(*string) value) value {
	return fieldTemplatesValue{dst, element}
}

type fieldTemplatesValue struct {
	dst     *[]Field
	element func(*string) value
}

func (f fieldTemplatesValue) reset() { *f.dst = nil }

func (f fieldTemplatesValue) shape() shape {
	return shape{kind: kindFields, expected: "a mapping from field names to values, which may have variables",
		element: f.element(new(string))}
}

func (f fieldTemplatesValue) load(l *loader, at site, n *yaml.Node) {
	entries, ok := l.entries(at, n)
	if !ok {
		return
	}
	first := map[string]string{} // spelling of each name, by its lower case
	for _, e := range entries {
		name, lower := e.key.Value, strings.ToLower(e.key.Value)
		switch earlier, twice := first[lower]; {
		case !isToken(name):
			l.failAt(l.position(e.key), at.key(name), "expected a field name, got %q", name)
			continue
		case twice:
			l.failAt(l.position(e.key), at.key(name), "the same field as %s", earlier)
			continue
		}
		first[lower] = name
		v := Field{Name: name}
		l.load(f.element(&v.Value), at.name(name), e)
		*f.dst = append(*f.dst, v)
	}
}

func (f fieldTemplatesValue) show() any {
	all := make(map[string]any, len(*f.dst))
	for _, v := range *f.dst {
		all[v.Name] = Secret(v.Value).String()
	}
	return all
}

// fieldTemplate is a field's value with variables, or nothing.
func fieldTemplate(dst *string) value {
	form := shape{kind: kindText, expected: "a field's value", pattern: `^(\S|$)`, keeps: keepsWords}
	return scalar[string]{dst, "", form, func(s string) (string, error) {
		isControl := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
		if s != strings.Trim(s, " \t") || strings.ContainsFunc(s, isControl) {
			return "", errForm
		}
		return s, nil
	}}
}

// fieldLine is a field's value with variables, and not nothing.
func fieldLine(dst *string) value {
	s := fieldTemplate(dst).(scalar[string])
	s.form.pattern = `^\S`
	parse := s.parse
	s.parse = func(text string) (string, error) {
		if text == "" {
			return "", errForm
		}
		return parse(text)
	}
	return s
}
