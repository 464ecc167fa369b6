package main

import (
	"strconv"
	"strings"
	"testing"
)

// rewrites has a middleware, and what becomes of targets: what the server gets, or the status when it gets nothing.
func rewrites(t *testing.T, middleware string, cases map[string]string) {
	t.Helper()
	s := newServer(t, greet)
	conform(t, site{server: s}, middleware, "m", func(t *testing.T, w *way) {
		for target, want := range cases {
			s.forget()
			a := w.ask(t, request{target: target})
			got := strconv.Itoa(a.StatusCode)
			if a.StatusCode == 200 {
				got = strings.Fields(s.gets(t)[0])[1]
			}
			if got != want {
				t.Errorf("%s leads to %s, want %s", target, got, want)
			}
		}
	})
}

func TestStripPrefixConforms(t *testing.T) {
	rewrites(t, "m: {strip_prefix: {prefixes: [/api, /café]}}", map[string]string{
		"/api/a?b":              "/a?b",
		"/api":                  "/",
		"/%61pi//a":             "/a",
		"/caf%c3%a9/a":          "/a",
		"/a/api":                "/a/api",
		"/api../admin":          "400",
		"/api%2e%2e/admin":      "400",
		"/api/..%2f../a":        "/..%2F../a",
		"/api/%252e%252e/a":     "/%252e%252e/a",
		"/api/../admin":         "/admin",
		"/api/%2e%2e/api/admin": "/admin",
		"/api/%00":              "400",
	})
}

func TestAddPrefixConforms(t *testing.T) {
	rewrites(t, "m: {add_prefix: {prefix: /base}}", map[string]string{
		"/":              "/base/",
		"/a?b":           "/base/a?b",
		"/../a":          "/base/a",
		"/%2e%2e/%2e./a": "/base/a",
		"//a":            "/base/a",
		"/..%2fa":        "/base/..%2Fa",
	})
}

func TestReplacePathConforms(t *testing.T) {
	rewrites(t, "m: {replace_path: {path: /index.html}}", map[string]string{"/": "/index.html", "/a/b?c": "/index.html?c"})
	rewrites(t, `m: {replace_path: {regex: "^/i(.*)", replacement: "/data/images/${1}"}}`, map[string]string{
		"/i/a?b=/i":                      "/data/images/a?b=/i",
		"/j/a":                           "/j/a",
		"/i../secret":                    "400",
		"/i%2e./secret":                  "400",
		"/i/../secret":                   "/secret",
		"/i%2f..%2fsecret":               "/data/images/%2F..%2Fsecret",
		"/i/" + strings.Repeat("a", 99):  "/data/images/" + strings.Repeat("a", 99),
		"/i/" + strings.Repeat("b", 3e3): "/data/images/" + strings.Repeat("b", 3e3),
		"/i/" + strings.Repeat("c", 5e3): "414",
	})
}
