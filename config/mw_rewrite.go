package config

// StripPrefix is what is taken off paths.
type StripPrefix struct {
	Prefixes []string
}

func (s *StripPrefix) keys(o *object) {
	o.require("prefixes", list(&s.Prefixes, 1, name("a path such as /api")),
		"the first that the path begins with is taken off; compared as `PathPrefix` does")
}

// AddPrefix is what is put before paths.
type AddPrefix struct {
	Prefix string
}

func (a *AddPrefix) keys(o *object) {
	o.require("prefix", text(&a.Prefix, "", "a path such as /api"), "what is put before the path")
}

// ReplacePath is what comes in the place of paths: Path, or Replacement for what Regex matches.
type ReplacePath struct {
	Path        string // empty with Regex
	Regex       string
	Replacement string
}

func (r *ReplacePath) keys(o *object) {
	o.key("path", text(&r.Path, "", "a path such as /index.html"), "the path that servers are asked for, whatever the client's is")
	o.key("regex", text(&r.Regex, "", "a regular expression"),
		"instead of `path`: what is looked for in the escaped path, anywhere unless it begins with `^`")
	o.key("replacement", replacement(&r.Replacement), "what comes in its place, with `$1` or `${name}` for groups")
}

// check tells of keys that do not go together.
func (r *ReplacePath) check(l *loader, path string) {
	hasPath, hasRegex, hasReplacement := l.given(path+".path"), l.given(path+".regex"), l.given(path+".replacement")
	switch {
	case hasPath && (hasRegex || hasReplacement):
		l.wrong(path+".path", "expected either path, or regex with replacement")
	case hasRegex && !hasReplacement:
		l.wrong(path+".regex", "expected replacement, too")
	case hasReplacement && !hasRegex:
		l.wrong(path+".replacement", "expected regex, too")
	case !hasPath && !hasRegex:
		l.wrong(path, "expected path, or regex with replacement")
	}
}

// RedirectScheme is the scheme that requests are to have.
type RedirectScheme struct {
	Scheme    WebScheme
	Port      int // 0: the scheme's own
	Permanent bool
}

func (r *RedirectScheme) keys(o *object) {
	o.require("scheme", withoutDefault(choice(&r.Scheme, WebHTTPS), WebScheme("")), "the scheme that requests are to have")
	o.key("port", integer(&r.Port, 0, 0, 65535), "the port of that scheme; 0: its own, 443 or 80")
	o.key("permanent", boolean(&r.Permanent, false), permanentDoc)
}

const permanentDoc = "true: 301, or 308 for methods but GET, which browsers remember; false: 302, or 307"

// WebScheme is a scheme of URLs.
type WebScheme string

// Schemes.
const (
	WebHTTP  WebScheme = "http"
	WebHTTPS WebScheme = "https"
)

func (WebScheme) words() []WebScheme { return []WebScheme{WebHTTP, WebHTTPS} }

// RedirectRegex is which URLs are redirected, and where to.
type RedirectRegex struct {
	Regex       string
	Replacement string
	Permanent   bool
}

func (r *RedirectRegex) keys(o *object) {
	o.require("regex", text(&r.Regex, "", "a regular expression"),
		"what is looked for in the URL, `scheme://host/path?query`, anywhere unless it begins with `^`")
	o.require("replacement", replacement(&r.Replacement), "what comes in its place, with `$1` or `${name}` for groups")
	o.key("permanent", boolean(&r.Permanent, false), permanentDoc)
}

// replacement is a text with groups of an expression.
func replacement(dst *string) value {
	s := text(dst, "", `a text such as "https://example.com/$1"`).(scalar[string])
	s.form.keeps = keepsWords
	return s
}
