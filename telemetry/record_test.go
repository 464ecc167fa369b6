package telemetry

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fullRecord is what an ordinary request leaves.
func fullRecord() *Record {
	return &Record{
		Time:      time.Date(2025, 3, 4, 5, 6, 7, 89_012_999, time.FixedZone("CET", 3600)),
		Client:    netip.MustParseAddrPort("203.0.113.9:50123"),
		Method:    []byte("GET"),
		Host:      []byte("shop.example.com"),
		Path:      []byte("/api/v1/products/8237462"),
		Query:     []byte("fields=name,price&lang=en"),
		RequestID: []byte("0192f0c1-7d2e-7c3b-9a60-5f1d2c3b4a59"),
		UserAgent: []byte("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
		Referer:   []byte("https://shop.example.com/catalogue"),
		Subject:   []byte("CN=till-7,O=Shop"),
		Protocol:  "HTTP/1.1",
		TLS:       "1.3",
		Cipher:    "TLS_AES_128_GCM_SHA256",
		Router:    "shop-api",
		Service:   "products",
		Server:    "http://10.0.0.12:8080",
		Error:     "timeout",
		Status:    504,
		Retries:   1,
		BytesIn:   12,
		BytesOut:  34567,
		Duration:  1234567 * time.Microsecond,
		Upstream:  1234000 * time.Microsecond,
		Queue:     31 * time.Microsecond,
		Connect:   420 * time.Microsecond,
		FirstByte: 1233500 * time.Microsecond,
		Added:     567 * time.Microsecond,
	}
}

// format makes the line of r with all fields.
func format(t testing.TB, r *Record) []byte {
	t.Helper()
	f := lineFormat{fields: fieldsEnd - 1}
	room := make([]byte, 0, r.room())
	line := f.append(room, r)
	if cap(line) != cap(room) {
		t.Fatalf("the line has %d bytes, room was for %d", len(line), r.room())
	}
	return line
}

// parse reads a line back and insists that it is one object on one line.
func parse(t testing.TB, line []byte) map[string]any {
	t.Helper()
	if !bytes.HasSuffix(line, newline) || bytes.Count(line, newline) != 1 {
		t.Fatalf("not one line: %q", line)
	}
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	return m
}

func TestLineText(t *testing.T) {
	want := `{"time":"2025-03-04T04:06:07.089012Z","client":"203.0.113.9:50123","method":"GET",` +
		`"host":"shop.example.com","path":"/api/v1/products/8237462","query":"fields=name,price&lang=en",` +
		`"protocol":"HTTP/1.1","tls_version":"1.3","tls_cipher":"TLS_AES_128_GCM_SHA256",` +
		`"client_subject":"CN=till-7,O=Shop","status":504,"bytes_in":12,"bytes_out":34567,"duration_us":1234567,` +
		`"upstream_us":1234000,"queue_us":31,"connect_us":420,"first_byte_us":1233500,"added_us":567,"router":"shop-api","service":"products",` +
		`"server":"http://10.0.0.12:8080","request_id":"0192f0c1-7d2e-7c3b-9a60-5f1d2c3b4a59",` +
		`"user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",` +
		`"referer":"https://shop.example.com/catalogue","retries":1,"error":"timeout"}` + "\n"
	if got := string(format(t, fullRecord())); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestLineOfNothing(t *testing.T) {
	m := parse(t, format(t, new(Record)))
	for _, name := range fieldNames {
		session := name == "tls_version" || name == "tls_cipher" || name == "client_subject"
		if _, has := m[name]; has == session {
			t.Errorf("clear text: %s is there: %v", name, has)
		}
	}
	if m["client"] != "" || m["path"] != "" || m["status"] != 0.0 {
		t.Errorf("got %v", m)
	}
}

func TestLineTime(t *testing.T) {
	f := lineFormat{}
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{time.Unix(0, 0), "1970-01-01T00:00:00.000000Z"},
		{time.Unix(0, 999_999_999), "1970-01-01T00:00:00.999999Z"},
		{time.Unix(1, 1000), "1970-01-01T00:00:01.000001Z"},
		{time.Unix(1, 20_000), "1970-01-01T00:00:01.000020Z"},
		{time.Unix(0, 5000), "1970-01-01T00:00:00.000005Z"}, // clocks are set back
		{time.Unix(1_735_689_599, 0), "2024-12-31T23:59:59.000000Z"},
	} {
		if got := string(f.appendTime(nil, tt.at)); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestLineAddress(t *testing.T) {
	for _, tt := range []struct {
		addr netip.AddrPort
		want string
	}{
		{netip.AddrPort{}, ""},
		{netip.MustParseAddrPort("[2001:db8::1]:443"), "[2001:db8::1]:443"},
		{netip.MustParseAddrPort("[::ffff:192.0.2.7]:80"), "192.0.2.7:80"},
		{netip.AddrPortFrom(netip.MustParseAddr("fe80::1%\"\n"), 1), "[fe80::1]:1"},
	} {
		if got := string(appendAddr(nil, tt.addr)); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestFieldSelection(t *testing.T) {
	tests := []struct {
		wanted map[string]bool
		out    []string // fields that are left out
	}{
		{nil, nil},
		{map[string]bool{"path": true}, nil},
		{map[string]bool{"query": false, "referer": false, "status": true}, []string{"query", "referer"}},
	}
	for _, name := range fieldNames {
		tests = append(tests, struct {
			wanted map[string]bool
			out    []string
		}{map[string]bool{name: false}, []string{name}})
	}
	for _, tt := range tests {
		set, err := compileFields(tt.wanted)
		if err != nil {
			t.Fatal(err)
		}
		f := lineFormat{fields: set}
		m := parse(t, f.append(nil, fullRecord()))
		for _, name := range fieldNames {
			if _, has := m[name]; has == slices.Contains(tt.out, name) {
				t.Errorf("fields %v: %s is there: %v", tt.wanted, name, has)
			}
		}
		if len(m)+len(tt.out) != len(fieldNames) {
			t.Errorf("fields %v: a line has %v", tt.wanted, slices.Collect(maps.Keys(m)))
		}
	}
	nothing := lineFormat{}
	if got := string(nothing.append(nil, fullRecord())); got != "{}\n" {
		t.Errorf("without fields: %q", got)
	}
	if _, err := compileFields(map[string]bool{"pth": true}); err == nil || !strings.Contains(err.Error(), `"pth"`) {
		t.Errorf("an unknown field: error %v", err)
	}
}

// cutText is what a reader of the log gets back of a value.
func cutText(s string, limit int) string {
	mark := ""
	if len(s) > limit {
		mark = ellipsis
		cut := limit
		for cut > limit-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	return string([]rune(s)) + mark // every byte that is not UTF-8 becomes U+FFFD
}

func TestLongValuesAreCut(t *testing.T) {
	r := fullRecord()
	r.Path = bytes.Repeat([]byte("é"), maxURL)
	r.Query = append(bytes.Repeat([]byte("q"), maxURL-1), "€uro"...) // the limit is inside a character
	m := parse(t, format(t, r))
	if want := strings.Repeat("é", maxURL/2) + "…"; m["path"] != want {
		t.Errorf("path %q", m["path"])
	}
	if want := strings.Repeat("q", maxURL-1) + "…"; m["query"] != want {
		t.Errorf("query %q", m["query"])
	}
}

// The longest line there can be fits one buffer.
func TestLongestLine(t *testing.T) {
	for _, worst := range []byte{0, 0xff, '"', '\n'} {
		b := bytes.Repeat([]byte{worst}, 2*maxURL)
		s := string(b)
		r := &Record{
			Time: time.Unix(1<<37, 999_999_999), Client: netip.MustParseAddrPort("[1111:2222:3333:4444:5555:6666:7777:8888]:65535"),
			Method: b, Host: b, Path: b, Query: b, RequestID: b, UserAgent: b, Referer: b, Subject: b,
			Protocol: s, TLS: s, Cipher: s, Router: s, Service: s, Server: s, Error: s,
			Status: math.MinInt, Retries: math.MinInt, BytesIn: math.MaxUint64, BytesOut: math.MaxUint64,
			Duration: math.MinInt64, Upstream: math.MinInt64, Added: math.MinInt64,
		}
		if line := format(t, r); r.room() != maxLine {
			t.Errorf("a line of %d bytes: room for %d, want %d", len(line), r.room(), maxLine)
		} else {
			parse(t, line)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("/a"), []byte("q=1"), []byte("agent"), "router")
	f.Add([]byte("\x00\x1f\"\\\n\r\t\b\f\x7f"), []byte("\xff\xc3\x28\xed\xa0\x80"), []byte("\u2028\u2029<>&"), "é€\U0001f600")
	f.Add(bytes.Repeat([]byte("\xf0\x9f\x98\x80"), maxURL/4+1), bytes.Repeat([]byte{0x80}, maxURL+9), []byte(nil), "\xf0\x9f")
	f.Fuzz(func(t *testing.T, path, query, agent []byte, router string) {
		r := fullRecord()
		r.Path, r.Query, r.UserAgent, r.Router = path, query, agent, router
		m := parse(t, format(t, r))
		for _, tt := range []struct {
			field string
			value string
			limit int
		}{
			{"path", string(path), maxURL},
			{"query", string(query), maxURL},
			{"user_agent", string(agent), maxUserAgent},
			{"router", router, maxName},
			{"host", "shop.example.com", maxHost},
		} {
			if want := cutText(tt.value, tt.limit); m[tt.field] != want {
				t.Errorf("%s is %q, want %q", tt.field, m[tt.field], want)
			}
		}
	})
}
