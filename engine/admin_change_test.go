package engine_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAdminOverride drains a server and brings it back by hand; the traffic follows, and a reload ends it.
func TestAdminOverride(t *testing.T) {
	o := openOffice(t)
	client := o.dial(t)
	client.expect("/", 200, "a")
	var s serverState
	put := func(path, body string) {
		t.Helper()
		if err := json.Unmarshal([]byte(o.text(o.do("PUT", path, body), 200)), &s); err != nil {
			t.Fatal(err)
		}
	}
	one := "/api/services/one/servers/"
	put(one+o.a.address, `{"drain": true}`)
	if s.State != "draining" || !s.Draining || s.Override == nil || !*s.Override.Drain || s.Override.Weight != nil || s.Weight != 3 {
		t.Errorf("after a drain: %+v", s)
	}
	client.expect("/", 200, "b")
	put(one+"http:%2F%2F"+o.a.address, `{"drain": false}`) // by ID
	client.expect("/", 200, "a")
	put(one+o.a.address, `{"weight": 0}`)
	if s.Weight != 3 || s.InForce != 0 || *s.Override.Weight != 0 || *s.Override.Drain {
		t.Errorf("after a weight of 0: %+v", s)
	}
	client.expect("/", 200, "b")

	o.text(o.do("POST", "/api/reload", "{}"), 200)
	client.expect("/", 200, "a")
	if s := o.servers()[0]; s.Override != nil || s.InForce != 3 || s.Draining {
		t.Errorf("after a reload: %+v", s)
	}
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{one + o.a.address, ``, 400, "expected"},
		{one + o.a.address, `{}`, 400, "expected"},
		{one + o.a.address, `{"weight": -1}`, 400, "0 to 65535"},
		{one + o.a.address, `{"weight": 1.5}`, 400, "weight"},
		{one + o.a.address, `{"wieght": 1}`, 400, "wieght"},
		{one + o.a.address, `{"weight": 1} {}`, 400, "more than one"},
		{one + o.a.address, `{"weight": ` + strings.Repeat(" ", 100_000) + `1}`, 400, "too large"},
		{one + "192.0.2.1:80", `{"weight": 1}`, 404, `has no server "192.0.2.1:80"`},
		{"/api/services/none/servers/x", `{"weight": 1}`, 404, `no service "none"`},
	} {
		var e struct{ Error, Reason string }
		if err := json.Unmarshal([]byte(o.text(o.do("PUT", c.path, c.body), c.status)), &e); err != nil ||
			e.Error == "" || !strings.Contains(e.Reason, c.want) {
			t.Errorf("%s %.40s: %v, %+v, want %q", c.path, c.body, err, e, c.want)
		}
	}
	client.expect("/", 200, "a")
}

func TestAdminReload(t *testing.T) {
	o := openOffice(t)
	good := fmt.Sprintf(officeText, o.a.address, o.b.address)
	o.write(strings.Replace(good, "service: one", "service: won", 1))
	var refused struct {
		Error, Reason string
		Errors        []string
	}
	if err := json.Unmarshal([]byte(o.text(o.do("POST", "/api/reload", ""), 422)), &refused); err != nil ||
		len(refused.Errors) != 1 || !strings.Contains(refused.Errors[0], o.file+":8:") {
		t.Errorf("%v, refused with %+v", err, refused)
	}
	var v struct {
		Generation int
		Failure    *struct {
			At     time.Time
			Errors []string
		} `json:"last_failure"`
	}
	o.get("/api/config", &v)
	if v.Generation != 1 || v.Failure == nil || len(v.Failure.Errors) != 1 || v.Failure.Errors[0] != refused.Errors[0] {
		t.Errorf("after a refused load: %+v", v)
	}

	// A reload may take away the very address that it was asked for at.
	before := o.AdminAddr().String()
	o.write(strings.Replace(good, "admin: {address: '127.0.0.1:0'}", "admin: {address: '[::1]:0'}", 1))
	o.text(o.do("POST", "/api/reload", ""), 200)
	o.get("/api/config", &v)
	if v.Generation != 2 || o.AdminAddr().String() == before {
		t.Errorf("generation %d at %v", v.Generation, o.AdminAddr())
	}
	if c, err := dialAddress(before); err == nil {
		c.Close()
		t.Error("the address before is still listened on")
	}
	o.write(strings.Replace(good, "admin: {address: '127.0.0.1:0'}\n", "", 1))
	o.text(o.do("POST", "/api/reload", ""), 200)
	if o.AdminAddr() != nil {
		t.Error("the API is served though the configuration has none")
	}
}

// TestAdminGuard sends what pages of other sites could make a browser send.
func TestAdminGuard(t *testing.T) {
	o := openOffice(t)
	put := "/api/services/one/servers/" + o.a.address
	for _, c := range []struct {
		method, path string
		header       []string
		status       int
	}{
		{"GET", "/api/config", []string{"Host", "evil.example"}, 403},
		{"GET", "/api/config", []string{"Host", "evil.example:80"}, 403},
		{"GET", "/api/config", []string{"Host", "127.0.0.1.evil.example"}, 403},
		{"GET", "/", []string{"Host", "evil.example"}, 403},
		{"GET", "/api/config", []string{"Host", "LOCALHOST:9101"}, 200},
		{"GET", "/api/config", []string{"Host", "[::1]:9101"}, 200},
		{"GET", "/api/config", []string{"Host", "::1"}, 200},
		{"GET", "/healthz", []string{"Host", "probe.example"}, 200},
		{"GET", "/readyz", []string{"Host", "probe.example"}, 200},
		{"PUT", put, []string{"Content-Type", ""}, 415},
		{"PUT", put, []string{"Content-Type", "text/plain"}, 415},
		{"PUT", put, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"PUT", put, []string{"Content-Type", "application/json; charset=utf-8"}, 200},
		{"PUT", put, []string{"Host", "evil.example"}, 403},
		{"PUT", put, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"PUT", put, []string{"Origin", "http://evil.example"}, 403},
		{"PUT", put, []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"POST", "/api/reload", []string{"Content-Type", "text/plain"}, 415},
	} {
		o.text(o.do(c.method, c.path, `{"weight": 2}`, c.header...), c.status)
	}
}

func TestAdminMethodsAndPaths(t *testing.T) {
	o := openOffice(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"DELETE", "/api/servers", 405, "GET"},
		{"GET", "/api/reload", 405, "POST"},
		{"POST", "/healthz", 405, "GET"},
		{"GET", "/api", 404, ""},
		{"GET", "/api/servers/", 404, ""},
		{"GET", "/favicon.ico", 404, ""},
		{"HEAD", "/api/servers", 200, ""},
	} {
		answer := o.do(c.method, c.path, "")
		text := o.text(answer, c.status)
		if got := answer.Header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s allows %q, want %q", c.method, c.path, got, c.allow)
		}
		if c.status != 200 && !strings.Contains(text, `"reason":`) {
			t.Errorf("%s %s gives no reason: %s", c.method, c.path, text)
		}
	}
}

func TestAdminProbes(t *testing.T) {
	o := openOffice(t)
	slow := listen(t)
	o.write(strings.ReplaceAll(fmt.Sprintf(officeText, slow.address, o.b.address), ", backup: true", ""))
	o.text(o.do("GET", "/healthz", ""), 200)
	o.text(o.do("GET", "/readyz", ""), 200)
	o.text(o.do("POST", "/api/reload", ""), 200)
	o.text(o.do("PUT", "/api/services/one/servers/"+o.b.address, `{"weight": 0}`), 200)

	client := o.dial(t)
	client.say(get)
	server := slow.accept(t)
	server.head()
	result := o.drain(t, 0)
	checkLeft(t, "answers of /readyz that say ready", 0, func() int {
		if answer := o.do("GET", "/readyz", ""); answer.StatusCode == http.StatusOK {
			return 1
		}
		return 0
	})
	o.text(o.do("GET", "/healthz", ""), 200)
	o.text(o.do("POST", "/api/reload", ""), 503)
	if text := o.text(o.do("GET", "/api/overview", ""), 200); !strings.Contains(text, `"state": "draining"`) {
		t.Errorf("while draining the overview is %s", text)
	}
	server.say(response("late"))
	client.rest()
	client.close()
	if err := <-result; err != nil {
		t.Error(err)
	}
}
