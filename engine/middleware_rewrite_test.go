package engine

import (
	"slices"
	"strings"
	"testing"

	"traffic_management/config"
	"traffic_management/mw"
)

// The errors of options are told with their place in the file, whoever finds them.
func TestPlacesOfOptions(t *testing.T) {
	variables := strings.Join(mw.Variables(), ", ")
	for _, c := range []struct{ middleware, want string }{
		{"{headers: {request_headers: {X-A: a,\n    Connection: close}}}",
			"f.yaml:5:17: middlewares.m.headers.request_headers.Connection: the proxy sets this field itself"},
		{"{headers: {response_headers: {\n    Content-Length: \"\"}}}",
			"f.yaml:5:21: middlewares.m.headers.response_headers.Content-Length: the proxy sets this field itself"},
		{"{headers: {request_headers: {\n    X-B: \"${nobody}\"}}}",
			`f.yaml:5:10: middlewares.m.headers.request_headers.X-B: "${nobody}" is no variable, expected ${name} with one of ` + variables},
		{"{headers: {request_headers: {\n    X-B: \"${no body}\"}}}",
			`f.yaml:5:10: middlewares.m.headers.request_headers.X-B: "${no body}" is no substitution, expected ${env:NAME} or ${env:NAME:-default}`},
		{"{headers: {request_headers: {\n    X-B: \"${env:TRICK}\"}}}",
			`f.yaml:5:10: middlewares.m.headers.request_headers.X-B: ${env:TRICK} has a "$" in it, which would mean something here`},
		{"{headers: {request_headers: {X-B: a,\n    x-b: b}}}",
			"f.yaml:5:5: middlewares.m.headers.request_headers.x-b: the same field as X-B"},
		{"{headers: {request_headers: {\n    X B: b}}}",
			`f.yaml:5:5: middlewares.m.headers.request_headers.X B: expected a field name, got "X B"`},
		{"{headers: {request_headers: {\n    X-B: \"a\\nb\"}}}",
			`f.yaml:5:10: middlewares.m.headers.request_headers.X-B: expected a field's value, got "a\nb"`},
		{"{headers: {request_headers_append: {X-A: a,\n    Authorization: x}}}", "f.yaml:5:20: middlewares.m.headers." +
			"request_headers_append.Authorization: a message has one line of this field at most, which can only be set"},
		{"{headers: {response_headers_append: {\n    X-B: \"\"}}}",
			`f.yaml:5:10: middlewares.m.headers.response_headers_append.X-B: expected a field's value, got ""`},
		{"{headers: {cors: {allow_credentials: true,\n    allow_origins: [\"*\"]}}}",
			`f.yaml:5:21: middlewares.m.headers.cors.allow_origins[0]: "*" does not go with allow_credentials: any site could act as the user`},
		{"{headers: {security:\n    {hsts_preload: true}}}",
			"f.yaml:5:20: middlewares.m.headers.security.hsts_preload: expected it with hsts_include_subdomains and " +
				"an hsts_max_age_seconds of 31536000 or more"},
		{"{strip_prefix: {prefixes: [/a,\n    b]}}",
			"f.yaml:5:5: middlewares.m.strip_prefix.prefixes[1]: expected a path that begins with /"},
		{"{add_prefix: {\n    prefix: \"/a?b\"}}", "f.yaml:5:13: middlewares.m.add_prefix.prefix: expected a path, without '?'"},
		{"{replace_path: {regex: a,\n    path: /b}}",
			"f.yaml:5:11: middlewares.m.replace_path.path: expected either path, or regex with replacement"},
		{"{replace_path: {\n    regex: a}}", "f.yaml:5:12: middlewares.m.replace_path.regex: expected replacement, too"},
		{"{replace_path: {\n    replacement: a}}", "f.yaml:5:18: middlewares.m.replace_path.replacement: expected regex, too"},
		{"{replace_path: {}}", "f.yaml:4:19: middlewares.m.replace_path: expected path, or regex with replacement"},
		{"{replace_path: {replacement: \"/$1\",\n    regex: \"(\"}}",
			"f.yaml:5:12: middlewares.m.replace_path.regex: missing closing ): `(`"},
		{"{redirect_regex: {regex: a,\n    replacement: \"${1}\"}}", `f.yaml:5:18: middlewares.m.redirect_regex.replacement: ` +
			`the expression has no group "1"; put a number with letters behind it in braces: ${1}x`},
		{"{redirect_scheme: {\n    scheme: ftp}}", `f.yaml:5:13: middlewares.m.redirect_scheme.scheme: expected one of http, https, got "ftp"`},
	} {
		text := "entrypoints: {web: {address: \":0\"}}\nservices: {s: {servers: [{url: \"http://127.0.0.1:1\"}]}}\n" +
			"routers: {r: {rule: \"PathPrefix(`/`)\", service: s, middlewares: [m]}}\nmiddlewares: {m: " + c.middleware + "}\n"
		env := func(name string) (string, bool) { return "secret ${host}", name == "TRICK" }
		parsed, err := config.Parse("f.yaml", []byte(text), env)
		if err == nil {
			_, err = Check(parsed, nil)
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.middleware, err, c.want)
		}
	}
}

// What the reference says of variables is all that there is.
func TestVariablesAreDescribed(t *testing.T) {
	text := string(config.Reference())
	_, row, _ := strings.Cut(text, "| `headers.request_headers` |")
	row, _, _ = strings.Cut(row, "\n")
	var told []string
	for rest := row; ; {
		_, after, found := strings.Cut(rest, "${")
		if !found {
			break
		}
		var name string
		name, rest, _ = strings.Cut(after, "}")
		told = append(told, name)
	}
	if !slices.Equal(told, mw.Variables()) {
		t.Errorf("told: %v, there are: %v", told, mw.Variables())
	}
}
