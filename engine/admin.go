package engine

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"traffic_management/config"
)

// admin answers operators and their machines: a status page and an API in JSON. It runs on the goroutines of net/http,
// off the loops, of which it asks only what no atomic tells, and never waits for one longer than loopPatience.
type admin struct {
	engine *Engine
	host   string // that the configuration has; empty for a unix socket
	cross  *http.CrossOriginProtection
}

// refusal is an answer other than the one asked for.
type refusal struct {
	status int
	Short  string   `json:"error"`
	Reason string   `json:"reason"`
	Errors []string `json:"errors,omitempty"` // of a configuration, each with its place in the file
}

func (r *refusal) Error() string { return r.Short + ": " + r.Reason }

func refuse(status int, reason string) *refusal {
	return &refusal{status: status, Short: strings.ToLower(http.StatusText(status)), Reason: reason}
}

// endpoint is what one method of a path does. Its error is told to the client, with the status of a refusal.
type endpoint func(w http.ResponseWriter, r *http.Request) error

// newAdmin makes the handler of what is configured.
func newAdmin(e *Engine, c *config.Admin) http.Handler {
	a := &admin{engine: e, host: c.Address.Host, cross: http.NewCrossOriginProtection()}
	mux := http.NewServeMux()
	// The probes tell nothing, so that they may come under any name.
	for path, methods := range map[string]map[string]endpoint{
		"/healthz": {"GET": a.healthz},
		"/readyz":  {"GET": a.readyz},
	} {
		mux.Handle(path, a.handler(methods))
	}
	for path, methods := range map[string]map[string]endpoint{
		"/{$}":             {"GET": a.page},
		"/api/overview":    {"GET": a.overview},
		"/api/routers":     {"GET": a.routers},
		"/api/services":    {"GET": a.services},
		"/api/servers":     {"GET": a.servers},
		"/api/connections": {"GET": a.connections},
		"/api/config":      {"GET": a.config},
		"/api/dump":        {"GET": a.dump},
		"/api/reload":      {"POST": a.reload},
		"/api/services/{service}/servers/{server}": {"PUT": a.override},
	} {
		mux.Handle(path, a.guard(a.handler(methods)))
	}
	mux.Handle("/", a.handler(nil))
	return mux
}

// handler answers the methods of one path; with none the path is not there.
func (a *admin) handler(methods map[string]endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		do := methods[method]
		switch {
		case do != nil:
			if err := do(w, r); err != nil {
				writeRefusal(w, err)
			}
		case methods == nil:
			writeRefusal(w, refuse(http.StatusNotFound, "there is nothing at "+r.URL.Path))
		default:
			var allowed []string
			for m := range methods {
				allowed = append(allowed, m)
			}
			slices.Sort(allowed)
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			writeRefusal(w, refuse(http.StatusMethodNotAllowed, r.Method+" is not for "+r.URL.Path))
		}
	})
}

// bodyPatience is how long the content of a request may take.
const bodyPatience = 10 * time.Second

// guard lets through what a page of another site, opened in a browser that can reach us, cannot send. A name that its
// owner points at our address (DNS rebinding) would be in Host; a form or script of another site cannot send JSON.
func (a *admin) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.calledRight(r.Host) {
			writeRefusal(w, refuse(http.StatusForbidden,
				"the Host "+r.Host+" is neither an IP address, nor localhost, nor the name in admin.address"))
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			if err := a.cross.Check(r); err != nil {
				writeRefusal(w, refuse(http.StatusForbidden, "the request comes from a page of another site"))
				return
			}
			if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
				writeRefusal(w, refuse(http.StatusUnsupportedMediaType, "expected Content-Type: application/json"))
				return
			}
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
		}
		next.ServeHTTP(w, r)
	})
}

// calledRight reports whether a Host is ours however names are resolved.
func (a *admin) calledRight(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost") || a.host != "" && strings.EqualFold(host, a.host)
}

// maxBody bounds the content of a request in bytes.
const maxBody = 64 << 10

// readJSON reads one value without keys that v does not have. No content at all leaves v as it is.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == nil {
			err = errors.New("more than one value")
		}
	}
	if !errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "the content: "+err.Error())
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the client has gone
	return nil
}

func writeRefusal(w http.ResponseWriter, err error) {
	no, ok := err.(*refusal)
	if !ok {
		no = refuse(http.StatusInternalServerError, err.Error())
	}
	_ = writeJSON(w, no.status, no)
}
