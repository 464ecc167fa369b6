package config

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// HealthCheck is how the servers of a service are asked whether they work.
type HealthCheck struct {
	Type      HealthType
	Interval  time.Duration
	Timeout   time.Duration
	Healthy   int    // good answers in a row that make a server healthy
	Unhealthy int    // bad ones in a row that make it unhealthy
	Port      uint16 // 0: that of the server

	// For HealthHTTP only:

	Path           string
	Method         string
	Headers        map[string]string // of the request, by field name; Host among them replaces the server's own
	ExpectedStatus []StatusRange
	BodyContains   string // empty: any content will do
}

func (h *HealthCheck) keys(o *object) {
	o.key("type", choice(&h.Type, HealthHTTP), "a request that must be answered well, or a connection that must open")
	o.key("path", path(&h.Path), "what is asked for, with a query if need be; required for `http`, and like the keys below for it only")
	o.key("method", token(&h.Method, http.MethodGet, "a method"), "method of the request")
	o.key("headers", fields(&h.Headers), "fields of the request; without `Host` that is the server's own")
	o.key("expected_status", statuses(&h.ExpectedStatus, 1, StatusRange{200, 399}), "codes of a good answer")
	o.key("body_contains", text(&h.BodyContains, "", "a text"), "a text that must be in the content of a good answer")
	o.key("interval_seconds", seconds(&h.Interval, 10, 1, daySeconds), "time from one check to the next")
	o.key("timeout_ms", milliseconds(&h.Timeout, 2000, 1, dayMillis), "longest time a check may take")
	o.key("healthy_threshold", integer(&h.Healthy, 2, 1, maxCount), "good checks in a row after which a server is used again")
	o.key("unhealthy_threshold", integer(&h.Unhealthy, 3, 1, maxCount), "bad checks in a row after which it is used no more")
	o.key("port", integer(&h.Port, 0, 0, math.MaxUint16), "where checks go; 0: the port of the server")
}

// maxCount is the largest number of events in a row that a file can ask for.
const maxCount = 1_000_000

// OutlierDetection takes a server that fails out of use for a while.
type OutlierDetection struct {
	ConsecutiveErrors int
	BaseEjection      time.Duration
	MaxEjectedPercent int
}

func (d *OutlierDetection) keys(o *object) {
	o.key("consecutive_errors", integer(&d.ConsecutiveErrors, 5, 1, maxCount),
		"failures in a row, of connections or with a status of 500 and above, after which a server is left out")
	o.key("base_ejection_seconds", seconds(&d.BaseEjection, 30, 1, daySeconds), "for how long, the first time; longer each time in a row")
	o.key("max_ejected_percent", integer(&d.MaxEjectedPercent, 50, 1, 100), "most of the servers that are left out at a time")
}

// checkHealth tells of keys that do not go together in a health check.
func (l *loader) checkHealth(path string, s *Service) {
	h := s.HealthCheck
	if h == nil {
		return
	}
	path += ".health_check"
	switch {
	case h.Type == HealthTCP:
		for _, key := range []string{"path", "method", "headers", "expected_status", "body_contains"} {
			if key = path + "." + key; l.given(key) {
				l.wrong(key, "only for checks of the type %s, this one is %s", HealthHTTP, HealthTCP)
			}
		}
	case !l.given(path+".path") && !l.refused(path+".type"):
		l.wrong(path+".path", "missing, expected %s; or type: %s", pathExpected, HealthTCP)
	case h.BodyContains != "" && h.Method == http.MethodHead:
		l.wrong(path+".body_contains", "the answer to a HEAD request has no content")
	}
	if h.Port == 0 {
		return
	}
	for i := range s.Servers {
		if s.Servers[i].URL.Path != "" {
			l.wrong(path+".port", "server %s has no ports", s.Servers[i].URL)
			return
		}
	}
}

const pathExpected = "a path such as /health"

// path is an absolute path with an optional query, as a request target has it (RFC 9112 section 3.2.1).
func path(dst *string) value {
	form := shape{kind: kindText, expected: pathExpected, pattern: `^/[!"$-~]*$`}
	return scalar[string]{dst, "", form, func(s string) (string, error) {
		if !strings.HasPrefix(s, "/") || strings.ContainsFunc(s, notInTarget) {
			return "", errForm
		}
		return s, nil
	}}
}

// notInTarget reports whether no request target has the character.
func notInTarget(r rune) bool { return r <= ' ' || r == '#' || r > '~' }
