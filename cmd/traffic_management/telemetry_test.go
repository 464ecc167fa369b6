package main

import (
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// line is one line of the access log.
type line struct {
	Time        time.Time
	Client      string
	Method      string
	Host        string
	Path        string
	Query       string
	Protocol    string
	Status      int
	BytesIn     int64 `json:"bytes_in"`
	BytesOut    int64 `json:"bytes_out"`
	DurationUS  int64 `json:"duration_us"`
	UpstreamUS  int64 `json:"upstream_us"`
	QueueUS     int64 `json:"queue_us"`
	ConnectUS   int64 `json:"connect_us"`
	FirstByteUS int64 `json:"first_byte_us"`
	AddedUS     int64 `json:"added_us"`
	Router      string
	Service     string
	Server      string
	RequestID   string `json:"request_id"`
	UserAgent   string `json:"user_agent"`
	Referer     string
	Retries     int
	Error       string
}

// logLines waits for n lines of the access log on standard output and reads them.
func (p *proxy) logLines(t *testing.T, n int) []line {
	t.Helper()
	eventually(t, "the access log has its lines", func() bool { return strings.Count(p.out.String(), "\n") >= n })
	var all []line
	for text := range strings.Lines(p.out.String()) {
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		var l line
		if err := d.Decode(&l); err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		if _, err := d.Token(); err != io.EOF {
			t.Fatalf("more than an object: %q", text)
		}
		all = append(all, l)
	}
	if len(all) != n {
		t.Fatalf("%d lines, want %d", len(all), n)
	}
	return all
}

func TestAccessLog(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s, sections: "access_log: {file: stdout}\n"}, "--loops", "1")
	began := time.Now()
	c := p.connect(t)
	request := "POST /a%2fb/../c?d=e HTTP/1.1\r\nHost: a.test:8080\r\nUser-Agent: tester \"1\"\r\nReferer: http://b.test/\\x\r\n" +
		"X-Request-Id: id-1\r\nContent-Length: 5\r\n\r\nhello"
	c.send(request)
	c.receive("POST")
	c.send("GET /\" HTTP/1.1\r\nHost: a.test\r\nUser-Agent: \xff\"},{\"status\":200\r\n\r\n")
	c.receive("GET")
	c.send("GET / HTTP/1.1\r\nHost : a.test\r\n\r\n")
	c.receive("GET")
	lines := p.logLines(t, 3)

	l := lines[0]
	if l.Time.Before(began.Add(-time.Second)) || l.Time.After(time.Now()) {
		t.Errorf("time %v", l.Time)
	}
	if l.Client != c.LocalAddr().String() {
		t.Errorf("client %q, want %q", l.Client, c.LocalAddr())
	}
	if l.DurationUS <= 0 || l.UpstreamUS < 0 || l.UpstreamUS > l.DurationUS || l.AddedUS < 0 || l.AddedUS > l.DurationUS {
		t.Errorf("duration %d, upstream %d, added %d", l.DurationUS, l.UpstreamUS, l.AddedUS)
	}
	if l.BytesIn < 5 || l.BytesIn > int64(len(request)) || l.BytesOut < 6 {
		t.Errorf("%d bytes in, %d out", l.BytesIn, l.BytesOut)
	}
	l.Time, l.Client, l.DurationUS, l.UpstreamUS, l.AddedUS, l.BytesIn, l.BytesOut = time.Time{}, "", 0, 0, 0, 0, 0
	l.QueueUS, l.ConnectUS, l.FirstByteUS = 0, 0, 0
	if want := (line{Method: "POST", Host: "a.test:8080", Path: "/c", Query: "d=e", Protocol: "HTTP/1.1", Status: 200,
		Router: "main", Service: "main", Server: "http://" + s.address, RequestID: "id-1", UserAgent: `tester "1"`,
		Referer: `http://b.test/\x`}); l != want {
		t.Errorf("line\n%+v, want\n%+v", l, want)
	}
	if got := lines[1]; got.Path != `/"` || got.UserAgent != "\ufffd\"},{\"status\":200" || got.Status != 200 {
		t.Errorf("hostile request logged as %+v", got)
	}
	if got := lines[2]; got.Status != 400 || got.Error != "syntax" || got.Router != "" || got.Server != "" {
		t.Errorf("refused request logged as %+v", got)
	}
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The metrics count what clients and servers did, no more and no less.
func TestMetricsCountWhatHappened(t *testing.T) {
	s := newServer(t, func(c *serverConn) {
		for {
			request, err := readHead(c)
			if err != nil {
				return
			}
			answer := greeting
			switch request.URL.Path {
			case "/missing":
				answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
			case "/broken":
				answer = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
			case "/moved":
				answer = "HTTP/1.1 301 Moved Permanently\r\nContent-Length: 0\r\n\r\n"
			case "/garbage":
				answer = "HTTP/1.1 two hundred\r\n\r\n"
			case "/gone":
				return
			}
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	})
	nobody := &server{address: closedPort(t)}
	p := start(t, site{server: s, bystander: nobody}, "--loops", "1")
	status := func(host, path string, want int) {
		t.Helper()
		c := p.connect(t)
		c.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		if a := c.receive("GET"); a.StatusCode != want {
			t.Errorf("status %d of %s%s, want %d", a.StatusCode, host, path, want)
		}
		c.Close()
	}
	for _, path := range []string{"/", "/a", "/b"} {
		status("a.test", path, 200)
	}
	status("a.test", "/moved", 301)
	status("a.test", "/missing", 404)
	status("a.test", "/broken", 500)
	status("a.test", "/garbage", 502)
	status("a.test", "/gone", 502)
	status("bystander.test", "/", 502)
	status("a b", "/", 400)
	status("a.test", "/%00", 400)
	eventually(t, "every connection has ended", func() bool {
		return p.metric("traffic_entrypoint_open_connections", `entrypoint="web"`) == 0
	})
	type count struct {
		name   string
		labels []string
		want   float64
	}
	route := func(router, code string) []string {
		return []string{`router="` + router + `"`, `service="` + router + `"`, `code="` + code + `"`}
	}
	for _, c := range []count{
		{"traffic_requests_total", route("main", "2xx"), 3},
		{"traffic_requests_total", route("main", "3xx"), 1},
		{"traffic_requests_total", route("main", "4xx"), 1},
		{"traffic_requests_total", route("main", "5xx"), 3},
		{"traffic_requests_total", route("bystander", "5xx"), 1},
		{"traffic_requests_total", route("", "4xx"), 2},
		{"traffic_entrypoint_connections_total", []string{`entrypoint="web"`}, 11},
		{"traffic_client_errors_total", []string{`entrypoint="web"`, `kind="syntax"`}, 2},
		{"traffic_upstream_errors_total", []string{`service="bystander"`, `kind="refused"`}, 2},
		{"traffic_upstream_retries_total", []string{`service="bystander"`}, 1},
		{"traffic_upstream_errors_total", []string{`service="main"`, `kind="syntax"`}, 1},
		{"traffic_upstream_errors_total", []string{`service="main"`, `kind="closed"`}, 1},
		{"traffic_request_duration_seconds_count", []string{`router="main"`}, 8},
		{"traffic_loop_panics_total", nil, 0},
	} {
		if got := p.metric(c.name, c.labels...); got != c.want {
			t.Errorf("%s%v is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	dials, reuses := p.metric("traffic_upstream_connections_total", `service="main"`),
		p.metric("traffic_upstream_connection_reuses_total", `service="main"`)
	if dials < 1 || reuses < 1 || int(dials) != len(s.connections()) {
		t.Errorf("%v connections to the server and %v reuses were counted; it saw %d", dials, reuses, len(s.connections()))
	}
}
