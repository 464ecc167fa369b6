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
func (x *Exchange) answer(e *codec.Error, fields ...codec.Field) {
	w := &x.local.reply
	status := e.Status
	if status == 0 {
		status = 502
	}
	x.Err = e
	asJSON := acceptsJSON(&x.RequestHead)
	w.body = w.appendBody(w.body[:0], status, e, x.RequestID, asJSON)
	contentType := typeText
	if asJSON {
		contentType = typeJSON
	}
	h := w.begin(status)
	h.Fields = append(h.Fields, codec.NewField(codec.FieldContentType, contentType),
		codec.NewField(codec.FieldCacheControl, noStore))
	if status == 503 {
		w.wait = strconv.AppendInt(w.wait[:0], int64(x.retryAfter(e)/time.Second), 10)
		h.Fields = append(h.Fields, codec.NewField(codec.FieldRetryAfter, w.wait))
	}
	h.Fields = append(h.Fields, fields...)
	x.reply(h, w.body)
}

// begin makes the head of a local reply.
func (w *replyWriter) begin(status int) *codec.Head {
	h := &w.head
	h.Reset()
	h.Version, h.Status, h.Reason = codec.HTTP11, status, reasons[status]
	w.text = time.Now().UTC().AppendFormat(w.text[:0], http.TimeFormat)
	h.Fields = append(h.Fields, codec.NewField(codec.FieldDate, w.text))
	return h
}

// reply gives the client a local response.
func (x *Exchange) reply(h *codec.Head, body []byte) {
	x.state, x.Status = AttemptLocal, h.Status
	h.Framing, h.Length = codec.ByLength, int64(len(body))
	if x.RequestHead.Method == codec.MethodHead || len(body) == 0 {
		h.Framing = codec.NoContent
		x.deliver(h, true)
		return
	}
	x.deliver(h, false)
	x.give(body, true)
}

// Refuse answers the request for a filter, with a short body that says why and these further fields, lent for the call.
// The filter returns Answered, or calls Resume with it.
func (x *Exchange) Refuse(e *codec.Error, fields ...codec.Field) {
	if x.response <= ResponseInterim { // else the proxy has answered while the filter waited
		x.answer(e, fields...)
	}
}

// Respond answers the request for a filter, with these fields and this body, lent for the call. The filter returns
// Answered, or calls Resume with it.
func (x *Exchange) Respond(status int, fields []codec.Field, body []byte) {
	if x.response > ResponseInterim {
		return
	}
	h := x.local.reply.begin(status)
	h.Fields = append(h.Fields, fields...)
	x.reply(h, body)
}

var (
	typeText = []byte("text/plain; charset=utf-8")
	typeJSON = []byte("application/json")
	noStore  = []byte("no-store")
)

// reasons holds the reason phrases of the statuses we reply with ourselves.
var reasons = func() map[int][]byte {
	m := map[int][]byte{}
	for status := 200; status < 600; status++ {
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
