package engine

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"ago": func(t time.Time) time.Duration { return time.Since(t).Round(time.Second) },
}).Parse(pageText))

// page is GET /: the status page, which needs nothing but itself and runs no script.
func (a *admin) page(w http.ResponseWriter, _ *http.Request) error {
	e := a.engine
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{
		"Overview": e.overviewViewOf(),
		"Tables":   e.current().tableViews(),
		"Services": e.serviceViews(),
		"Servers":  e.serverViews(),
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	_, _ = w.Write(b.Bytes()) // the client has gone
	return nil
}
