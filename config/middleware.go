package config

import (
	"maps"
	"math"
	"slices"
	"time"
)

// Middleware is something done to the requests of the routers and entry points that name it: one of the fields is not
// nil.
type Middleware struct {
	Retry          *Retry
	CircuitBreaker *CircuitBreaker
	Compress       *Compress
	Chain          *Chain
	RateLimit      *RateLimit
	InFlightLimit  *InFlightLimit
	IPAllowList    *IPAllowList
	Headers        *Headers
	StripPrefix    *StripPrefix
	AddPrefix      *AddPrefix
	ReplacePath    *ReplacePath
	RedirectScheme *RedirectScheme
	RedirectRegex  *RedirectRegex
	ForwardAuth    *ForwardAuth
	ErrorPages     *ErrorPages
	Buffering      *Buffering
	Mirror         *Mirror
	BasicAuth      *BasicAuth
	JWT            *JWT
	Custom         *Custom // of a kind that the program brings
}

func (m *Middleware) keys(o *object) {
	o.one, o.custom = true, &m.Custom
	o.key("retry", optional(&m.Retry), "Sends a request that failed to another server.")
	o.key("circuit_breaker", optional(&m.CircuitBreaker), "Keeps requests away from servers that fail.")
	o.key("compress", optional(&m.Compress), "Compresses the content of responses.")
	o.key("chain", optional(&m.Chain), "Other middlewares, under one name.")
	o.key("rate_limit", optional(&m.RateLimit), "Refuses requests that come too fast.")
	o.key("in_flight_limit", optional(&m.InFlightLimit), "Refuses requests while as many others are under way.")
	o.key("ip_allow_list", optional(&m.IPAllowList), "Refuses the requests of clients that are not on the list.")
	o.key("headers", optional(&m.Headers), "Sets and removes fields of requests and responses.")
	o.key("strip_prefix", optional(&m.StripPrefix), "Takes a prefix off the path; servers find it in `X-Forwarded-Prefix`.")
	o.key("add_prefix", optional(&m.AddPrefix), "Puts a prefix before the path.")
	o.key("replace_path", optional(&m.ReplacePath), "Puts another path in the place of the path, or of a part of it.")
	o.key("redirect_scheme", optional(&m.RedirectScheme), "Sends requests of another scheme to the same URL of this one.")
	o.key("redirect_regex", optional(&m.RedirectRegex), "Sends requests to the URL that a regular expression makes of theirs.")
	o.key("forward_auth", optional(&m.ForwardAuth), "Asks a server whether a request may pass.")
	o.key("error_pages", optional(&m.ErrorPages), "Puts pages of a service in the place of the bodies of responses.")
	o.key("buffering", optional(&m.Buffering), "Passes on whole requests or responses only.")
	o.key("mirror", optional(&m.Mirror), "Sends copies of requests to another service.")
	o.key("basic_auth", optional(&m.BasicAuth), "Refuses requests without the name and password of a user.")
	o.key("jwt", optional(&m.JWT), "Refuses requests without a JSON Web Token that a known key has signed.")
}

// Kind is the key of the field that is not nil, or the kind of Custom; empty when the file gave none.
func (m *Middleware) Kind() string {
	for _, k := range describe(m).members {
		if k.value.show() != nil {
			return k.name
		}
	}
	if m.Custom != nil {
		return m.Custom.Kind
	}
	return ""
}

// Kinds are the kinds of middlewares that any configuration may have, in the order of the reference.
func Kinds() []string { return describe(new(Middleware)).names() }

// Retry is when a request is sent again.
type Retry struct {
	Attempts        int // after the first
	InitialInterval time.Duration
	MaxInterval     time.Duration
	BudgetPercent   int
	OnStatus        []StatusRange // of responses that are as good as none
	NonIdempotent   bool
	MaxBody         int           // bytes of content kept to be sent again
	AttemptTimeout  time.Duration // 0: that of the whole request alone
}

func (r *Retry) keys(o *object) {
	o.require("attempts", withoutDefault(integer(&r.Attempts, 1, 1, 100), 0),
		"most tries after the first, on another server while there is one")
	o.key("initial_interval_ms", milliseconds(&r.InitialInterval, 100, 1, dayMillis),
		"wait before a further try, doubled each time, and less by chance")
	o.key("max_interval_ms", milliseconds(&r.MaxInterval, 5000, 1, dayMillis), "longest wait")
	o.key("budget_percent", integer(&r.BudgetPercent, 20, 0, 100),
		"most of the requests that a service has in hand that may be further tries; 3 always may")
	o.key("on_status", statuses(&r.OnStatus, 0), "responses with these codes are not passed on while there are tries left")
	o.key("non_idempotent", boolean(&r.NonIdempotent, false),
		"also requests that may not be safe to repeat, such as `POST`; without it only when nothing of one was sent")
	o.key("max_body_bytes", integer(&r.MaxBody, 64<<10, 0, 16<<20), "largest body that is kept to be sent again")
	o.key("attempt_timeout_ms", milliseconds(&r.AttemptTimeout, 0, 0, dayMillis),
		"from the start of a try to the head of its response; 0: as long as `timeouts.request_ms` leaves")
}

// CircuitBreaker is when a service or a server is given no requests, and when it is tried again.
type CircuitBreaker struct {
	FailureThreshold int           // failures in a row
	FailureRatio     float64       // of the requests of a window; 0: off
	MinRequests      int           // fewest requests of a window for the ratio
	Window           time.Duration // over which the ratio is taken
	Recovery         time.Duration
	HalfOpenRequests int
	StatusCodes      []StatusRange // of responses that are failures
}

func (b *CircuitBreaker) keys(o *object) {
	o.key("failure_threshold", integer(&b.FailureThreshold, 5, 1, maxCount), "failures in a row that open it")
	o.key("failure_ratio", number(&b.FailureRatio, 0, 0, 1), "share of failures in the window that opens it; 0: none does")
	o.key("min_requests", integer(&b.MinRequests, 20, 1, math.MaxInt32), "requests in the window below which the share does not count")
	o.key("window_seconds", seconds(&b.Window, 10, 1, 3600), "time over which the share is taken")
	o.key("recovery_timeout_seconds", seconds(&b.Recovery, 30, 1, daySeconds), "how long it stays open before it lets a few through")
	o.key("half_open_requests", integer(&b.HalfOpenRequests, 1, 1, maxCount), "how many of those must all do well to close it")
	o.key("status_codes", statuses(&b.StatusCodes, 0, StatusRange{500, 599}),
		"responses that are failures, as is every error of a connection")
}

// checkMiddlewares tells of keys that do not go together in a middleware.
func (l *loader) checkMiddlewares(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Middlewares)) {
		m, path := c.Middlewares[name], "middlewares."+name
		if r := m.Retry; r != nil && r.MaxInterval < r.InitialInterval {
			l.wrong(path+".retry.max_interval_ms", "%d is less than initial_interval_ms, %d",
				r.MaxInterval.Milliseconds(), r.InitialInterval.Milliseconds())
		}
		if r := m.RateLimit; r != nil {
			r.check(l, path+".rate_limit")
		}
		if m.Compress != nil {
			l.checkCompress(path+".compress", m.Compress)
		}
		if h := m.Headers; h != nil {
			h.check(l, path+".headers")
		}
		if r := m.ReplacePath; r != nil {
			r.check(l, path+".replace_path")
		}
		l.checkForwarding(c, name)
		if b := m.BasicAuth; b != nil {
			b.check(l, path+".basic_auth")
		}
		if j := m.JWT; j != nil {
			j.check(l, path+".jwt")
		}
	}
}
