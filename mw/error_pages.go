package mw

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/upstream"
)

// ErrorPagesOptions is the settings of pages for responses of some statuses.
type ErrorPagesOptions struct {
	Statuses codec.StatusSet   // of the responses, from 400 to 599
	Service  *upstream.Service // that has the pages
	Path     string            // of a page, escaped, and a query if need be; "{status}" stands for the status
}

// ErrorPages puts pages that a service has in the place of the content of responses. They keep their status and the
// fields that are not about their content. When the service does not come up with a page, there is a line of text.
// Immutable.
type ErrorPages struct {
	o     ErrorPagesOptions
	shown fieldNames // fields of the client's that the service gets
}

// NewErrorPages makes them.
func NewErrorPages(o ErrorPagesOptions) (*ErrorPages, error) {
	if !strings.HasPrefix(o.Path, "/") {
		return nil, errors.New("the path does not begin with a slash")
	}
	for status := 100; status < 400; status++ {
		if o.Statuses.Has(status) {
			return nil, errors.New("a status below 400 says that nothing is wrong")
		}
	}
	shown, err := newFieldNames("Accept", "Accept-Language", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Request-Id")
	return &ErrorPages{o, shown}, err
}

// Request implements exchange.Filter.
func (*ErrorPages) Request(*exchange.Exchange) exchange.Verdict { return exchange.Next }

// Response implements exchange.ResponseFilter.
func (e *ErrorPages) Response(x *exchange.Exchange, h *codec.Head, _ bool) exchange.Verdict {
	if !e.o.Statuses.Has(h.Status) {
		return exchange.Next
	}
	x.Discard()
	target := strings.ReplaceAll(e.o.Path, "{status}", strconv.Itoa(h.Status))
	path, query, _ := strings.Cut(target, "?")
	p := &page{x: x, status: h.Status, head: getRequest(string(x.RequestHead.Authority), path, query)}
	if x.RequestHead.Method == codec.MethodHead {
		p.head.Method, p.head.MethodName = codec.MethodHead, x.RequestHead.MethodName
	}
	p.head.Fields = e.shown.appendFrom(nil, x.RequestHead.Fields)
	x.SetState(p)
	p.asked = x.Local().Subrequest(e.o.Service, &p.head, 0, nil, p)
	return exchange.Wait
}

// Done implements exchange.Ender.
func (e *ErrorPages) Done(x *exchange.Exchange) {
	if p, ok := x.State().(*page); ok {
		p.asked.Cancel()
	}
}

// page is the page for one response, and the exchange.Answer with it. It belongs to the loop.
type page struct {
	x      *exchange.Exchange
	status int
	head   codec.Head
	asked  *exchange.Subrequest
}

var (
	// aboutContent are fields that say something about content that is not sent.
	aboutContent = mustFieldNames("Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Encoding",
		"Content-Language", "Content-Location", "Content-Md5", "Content-Range", "Content-Type", "Digest", "Etag",
		"Last-Modified", "Repr-Digest")
	// ofPage are fields of a page that it cannot do without.
	ofPage = mustFieldNames("Content-Encoding", "Content-Language", "Content-Security-Policy", "Content-Type")
)

func mustFieldNames(names ...string) fieldNames {
	all, err := newFieldNames(names...)
	if err != nil {
		panic("mw: " + err.Error())
	}
	return all
}

// Head is the exchange.Answer's. A page may have the status that it is for.
func (p *page) Head(h *codec.Head, end bool) {
	r := p.x.Withheld()
	switch {
	case r == nil:
		p.asked.Cancel()
		return
	case h.Status/100 != 2 && h.Status != p.status:
		p.asked.Cancel()
		p.without(r)
		return
	}
	forgetContent(r)
	for i := range h.Fields {
		if f := &h.Fields[i]; ofPage.has(f) {
			name := []byte(string(f.Name))
			r.RemoveName(name)
			r.Fields = append(r.Fields, codec.Field{Name: name, Value: []byte(string(f.Value)), ID: f.ID})
		}
	}
	p.x.ReplaceWith(p.asked, h, end)
}

func forgetContent(h *codec.Head) {
	aboutContent.remove(h.Fields)
	h.Remove(codec.FieldTrailer)
}

// Data does nothing: content goes to the client.
func (p *page) Data([]byte, bool) {}

// Trailers does nothing.
func (p *page) Trailers([]codec.Field) {}

// Failed does without the page.
func (p *page) Failed(*codec.Error) {
	if r := p.x.Withheld(); r != nil {
		p.without(r)
	}
}

var typeText = []byte("text/plain; charset=utf-8")

// without gives the response a line of text.
func (p *page) without(r *codec.Head) {
	forgetContent(r)
	r.Fields = append(r.Fields, codec.NewField(codec.FieldContentType, typeText))
	p.x.Replace([]byte(strings.TrimSpace(strconv.Itoa(p.status)+" "+http.StatusText(p.status)) + "\n"))
}
