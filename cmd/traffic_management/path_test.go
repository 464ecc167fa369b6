package main

import (
	"strings"
	"testing"
)

// The path that the rules see is the path that the server gets.
func TestPathHasOneSpelling(t *testing.T) {
	paths := map[string]string{ // what is sent, what the server receives
		"/a/../b":               "/b",
		"/a/./b":                "/a/b",
		"/a/b/..":               "/a",
		"/a/b/../":              "/a/",
		"/..":                   "/",
		"/../../../etc/passwd":  "/etc/passwd",
		"/a/../../../b":         "/b",
		"/.":                    "/",
		"//":                    "/",
		"//a//b//":              "/a/b/",
		"/a//../b":              "/b",
		"/%2e%2e/b":             "/b",
		"/a/%2E%2e/b":           "/b",
		"/a/.%2e/b":             "/b",
		"/a/%2e/b":              "/a/b",
		"/a/%2e%2e%2fb":         "/a/..%2Fb",
		"/a%2fb":                "/a%2Fb",
		"/a%2Fb":                "/a%2Fb",
		"/a%2f%2e%2e%2fb":       "/a%2F..%2Fb",
		"/a%5cb":                "/a%5Cb",
		`/a\b`:                  `/a\b`,
		`/a\..\b`:               `/a\..\b`,
		"/a/..;/b":              "/a/..;/b",
		"/a/..;x=y/b":           "/a/..;x=y/b",
		"/a/..%3b/b":            "/a/..%3B/b",
		"/a;/../b":              "/b",
		"/a/...":                "/a/...",
		"/%61dmin":              "/admin",
		"/%7Euser":              "/~user",
		"/a%20b":                "/a%20b",
		"/a%3fb":                "/a%3Fb",
		"/a%23b":                "/a%23b",
		"/%252e%252e/b":         "/%252e%252e/b",
		"/a%252fb":              "/a%252fb",
		"/%c0%ae%c0%ae/b":       "/%C0%AE%C0%AE/b",
		"/%e2%80%ae":            "/%E2%80%AE",
		"/a%0d%0ab":             "/a%0D%0Ab",
		"/a?b=../c":             "/a?b=../c",
		"/a/../b?/../c":         "/b?/../c",
		"/a?b?c":                "/a?b?c",
		"/a?%00":                "/a?%00",
		"http://a.test/a/../b":  "/b",
		"http://a.test":         "/",
		"http://a.test?x":       "/?x",
		"http://a.test//b":      "/b",
		"/http://b.test/../x":   "/http:/x",
		"/@b.test":              "/@b.test",
		"/a:b":                  "/a:b",
		"/" + "../" + "%2e%2e/": "/",
	}
	var requests []attack
	for sent, want := range paths {
		requests = append(requests, attack{sent, "GET " + sent + " HTTP/1.1\r\nHost: a.test\r\n\r\n", 200, keeps,
			"GET " + want + " HTTP/1.1\r\nHost: a.test\r\n\r\n"})
	}
	carryOut(t, requests)
}

func TestBadPathIsRefused(t *testing.T) {
	requests := map[string]string{}
	for _, path := range []string{"/a#b", "/#", "#", "/a?b#c", "/%00", "/a%00.png", "/%", "/%2", "/%zz", "/%u002e", "/a%2", "/%-1",
		"/a\x00b", "/a\x7fb", "/\u00e4", "/a\tb", "/a\x0bb", "", "a/b", "..", "../x", "?x", "http://a.test#b", "http://a.test/%00"} {
		requests[path] = "GET " + path + " HTTP/1.1\r\nHost: a.test\r\n\r\n"
	}
	carryOut(t, refused(400, closes, requests))
}

// sites of two services: one path is guarded by a rule of its own.
type guarded struct{ site }

func (g guarded) String() string {
	text := g.site.String()
	return strings.Replace(text, "Host(`bystander.test`)", "PathPrefix(`/admin`)", 1)
}

// A guard on a path holds for every spelling of the path that the server would take for it.
func TestGuardedPathCannotBeReachedOtherwise(t *testing.T) {
	open, admin := newServer(t, greet), newServer(t, greet)
	p := start(t, guarded{site{server: open, bystander: admin}})
	for _, path := range []string{"/admin", "/admin/", "//admin", "/./admin", "/x/../admin", "/%61dmin", "/%61%64%6d%69%6e",
		"/x/%2e%2e/admin", "/x/.%2e/admin", "///admin", "/..//admin", "http://a.test/x/../admin", "http://a.test//admin"} {
		t.Run(path, func(t *testing.T) {
			open.forget()
			admin.forget()
			c := p.connect(t)
			c.send("GET " + path + " HTTP/1.1\r\nHost: a.test\r\n\r\n")
			if a := c.receive("GET"); a.StatusCode != 200 {
				t.Errorf("status %d", a.StatusCode)
			}
			if got := open.received(); got != "" {
				t.Errorf("the open service received %q", got)
			}
			if got := admin.settled(t); !strings.HasPrefix(got, "GET /admin") {
				t.Errorf("the guarded service received %q", got)
			}
		})
	}
}
