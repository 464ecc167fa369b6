package exchange

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"traffic_management/codec"
)

// replyWriter makes local replies; one for each loop.
type replyWriter struct {
	head codec.Head
	body []byte
	text []byte // values of fields
	wait []byte // of Retry-After
}

// answer gives the client a local reply: a short body that says why, in JSON when the client accepts it.
func (x *Exchange) answer(e *codec.Error) {
	w := &x.local.reply
	status := e.Status
	if status == 0 {
		status = 502
	}
	x.Err, x.Status, x.response = e, status, ResponseWhole
	asJSON := acceptsJSON(&x.RequestHead)
	w.body = w.appendBody(w.body[:0], status, e, x.RequestID, asJSON)
	h := &w.head
	h.Reset()
	h.Version, h.Status, h.Reason = codec.HTTP11, status, reasons[status]
	h.Framing, h.Length = codec.ByLength, int64(len(w.body))
	contentType := typeText
	if asJSON {
		contentType = typeJSON
	}
	w.text = time.Now().UTC().AppendFormat(w.text[:0], http.TimeFormat)
	h.Fields = append(h.Fields, codec.NewField(codec.FieldDate, w.text), codec.NewField(codec.FieldContentType, contentType),
		codec.NewField(codec.FieldCacheControl, noStore))
	if status == 503 {
		w.wait = strconv.AppendInt(w.wait[:0], int64(x.retryAfter(e)/time.Second), 10)
		h.Fields = append(h.Fields, codec.NewField(codec.FieldRetryAfter, w.wait))
	}
	if x.RequestHead.Method == codec.MethodHead {
		h.Framing = codec.NoContent
		x.client.Head(h, true)
		return
	}
	x.client.Head(h, false)
	x.client.Data(w.body, true)
}

var (
	typeText = []byte("text/plain; charset=utf-8")
	typeJSON = []byte("application/json")
	noStore  = []byte("no-store")
)

// reasons holds the reason phrases of the statuses we reply with ourselves.
var reasons = func() map[int][]byte {
	m := map[int][]byte{}
	for status := 400; status < 600; status++ {
		if text := http.StatusText(status); text != "" {
			m[status] = []byte(text)
		}
	}
	m[413] = []byte("Content Too Large") // net/http has the name of an older RFC
	return m
}()

func acceptsJSON(h *codec.Head) bool {
	for i := range h.Fields {
		if h.Fields[i].ID == codec.FieldAccept && bytes.Contains(h.Fields[i].Value, typeJSON) {
			return true
		}
	}
	return false
}

// appendBody writes the reply's content. Causes are texts of ours: nothing in them needs escaping, and AppendQuote is
// JSON's for plain ASCII.
func (w *replyWriter) appendBody(b []byte, status int, e *codec.Error, id []byte, asJSON bool) []byte {
	why := ""
	if e.Cause != nil {
		why = e.Cause.Error()
	}
	if asJSON {
		b = strconv.AppendInt(append(b, `{"status":`...), int64(status), 10)
		b = strconv.AppendQuote(append(b, `,"error":`...), string(reasons[status]))
		b = strconv.AppendQuote(append(b, `,"reason":`...), why)
		if len(id) > 0 {
			b = strconv.AppendQuote(append(b, `,"request_id":`...), string(id))
		}
		return append(b, '}', '\n')
	}
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(b, ' '), reasons[status]...)
	if why != "" {
		b = append(append(b, ": "...), why...)
	}
	return append(b, '\n')
}
