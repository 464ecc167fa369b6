package h1

import (
	"encoding/binary"
	"slices"
	"strconv"

	"traffic_management/codec"
	"traffic_management/internal/invariant"
)

const chunkedLine = "Transfer-Encoding: chunked\r\n"

// connectionLines is the Connection field line of every set of codec.OptClose, OptKeepAlive and OptUpgrade.
var connectionLines = [...]string{
	0:                                     "",
	codec.OptClose:                        "Connection: close\r\n",
	codec.OptKeepAlive:                    "Connection: keep-alive\r\n",
	codec.OptClose | codec.OptKeepAlive:   "Connection: close\r\n",
	codec.OptUpgrade:                      "Connection: upgrade\r\n",
	codec.OptUpgrade | codec.OptClose:     "Connection: close, upgrade\r\n",
	codec.OptUpgrade | codec.OptKeepAlive: "Connection: keep-alive, upgrade\r\n",
	codec.OptUpgrade | codec.OptClose | codec.OptKeepAlive: "Connection: close, upgrade\r\n",
}

// AppendRequestHead appends a request head of HTTP/1.1 for content framed by f (ByClose and ByEndStream: by chunks), the
// target in origin form (CONNECT: authority form; OPTIONS without a path: asterisk form) and Host first. With
// codec.OptUpgrade in h.Options it offers what h's Upgrade field names.
//
// Hop-by-hop fields and those marked codec.FieldRemoved are left out. So is, silently, a field whose name is no token or
// whose value has a byte that no value can have; such bytes of path and query are percent-encoded. When the method or
// the authority cannot be sent, or f is ByLength and h.Length is not set, nothing can be sent: dst is returned as it
// is. Nothing is allocated while dst has room.
func AppendRequestHead(dst []byte, h *codec.Head, f codec.Framing) []byte {
	if h.Method == codec.MethodOther && !codec.IsToken(h.MethodName) ||
		(h.Method == codec.MethodConnect || len(h.Authority) > 0) && !codec.ValidAuthority(h.Authority) ||
		f == codec.ByLength && h.Length < 0 {
		return dst
	}
	if h.Method == codec.MethodOther {
		dst = append(dst, h.MethodName...)
	} else {
		dst = append(dst, h.Method.String()...)
	}
	dst = append(dst, ' ')
	dst = appendTarget(dst, h)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, h.Authority...)
	dst = append(dst, "\r\n"...)
	dst = appendFields(dst, h, codec.TraitNotInRequest, h.Options&codec.OptUpgrade)
	switch {
	case f == codec.ByLength, f == codec.NoContent && h.Length == 0:
		dst = appendLength(dst, h.Length)
	case f != codec.NoContent:
		dst = append(dst, chunkedLine...)
	}
	return append(dst, "\r\n"...)
}

// AppendResponseHead appends a response head of HTTP/1.1 for content framed by f (ByEndStream: by chunks) and with the
// connection options opt, to which ByClose adds OptClose; OptUpgrade sends h's Upgrade field. Fields are left out as
// AppendRequestHead does; a reason phrase that cannot be sent is, too.
//
// With NoContent h.Length, when it is set, tells the length of what is not sent, as answers to HEAD and 304 do. A
// response that never has content (RFC 9112 section 6.3; h.Method, when set, is its request's) carries no framing
// whatever f says. When h.Status is not one, or f is ByLength and h.Length is not set, dst is returned as it is.
func AppendResponseHead(dst []byte, h *codec.Head, f codec.Framing, opt codec.ConnOption) []byte {
	if h.Status < 100 || h.Status > 999 || f == codec.ByLength && h.Length < 0 {
		return dst
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, byte('0'+h.Status/100), byte('0'+h.Status/10%10), byte('0'+h.Status%10), ' ')
	if codec.NextNotValue(h.Reason, 0) == len(h.Reason) {
		dst = append(dst, h.Reason...)
	}
	dst = append(dst, "\r\n"...)
	never := codec.Contentless(h.Method, h.Status)
	if f == codec.ByClose && !never {
		opt = opt&^codec.OptKeepAlive | codec.OptClose
	}
	dst = appendFields(dst, h, codec.TraitNotInResponse, opt)
	switch {
	case never:
		if h.Length >= 0 && (h.Status == 304 || h.Status >= 200 && h.Status != 204 && h.Method == codec.MethodHead) {
			dst = appendLength(dst, h.Length)
		}
	case f == codec.ByLength:
		dst = appendLength(dst, h.Length)
	case f == codec.NoContent:
		dst = appendLength(dst, max(h.Length, 0))
	case f != codec.ByClose:
		dst = append(dst, chunkedLine...)
	}
	return append(dst, "\r\n"...)
}

// AppendTrailers appends the last chunk and the trailer section, which ends the message. Fields that must not be in one
// (RFC 9110 section 6.5.1), that are of one hop, or that servers trust us to set, are left out, as are those that cannot
// be sent.
func AppendTrailers(dst []byte, trailers []codec.Field) []byte {
	dst = append(dst, "0\r\n"...)
	for i := range trailers {
		if codec.AllowedInTrailers(trailers[i].Name) {
			dst = appendLines(dst, trailers[i:i+1], codec.TraitNotInTrailers)
		}
	}
	return append(dst, "\r\n"...)
}

// appendTarget appends the request target.
func appendTarget(dst []byte, h *codec.Head) []byte {
	path := h.Path
	switch {
	case h.Method == codec.MethodConnect:
		return append(dst, h.Authority...)
	case h.Method == codec.MethodOptions && (len(path) == 1 && path[0] == '*' || len(path) == 0 && h.Query == nil):
		return append(dst, '*')
	}
	return codec.AppendOriginForm(dst, path, h.Query)
}

// appendFields appends the fields without the trait omit, and the Connection field line of opt.
func appendFields(dst []byte, h *codec.Head, omit codec.Trait, opt codec.ConnOption) []byte {
	if opt&codec.OptUpgrade == 0 || h.Get(codec.FieldUpgrade) == nil {
		opt &^= codec.OptUpgrade
		omit |= codec.TraitUpgrade
	}
	dst = appendLines(dst, h.Fields, omit)
	return append(dst, connectionLines[opt&(codec.OptClose|codec.OptKeepAlive|codec.OptUpgrade)]...)
}

// appendLines appends a line for each field, unless it is marked as removed, its name has the trait omit, or it could
// not be parsed again. A name without an ID is looked up, so that no field frames a message behind our back; a known
// name is a token.
func appendLines(dst []byte, fields []codec.Field, omit codec.Trait) []byte {
	for i := range fields {
		f := &fields[i]
		id := f.ID
		if id == codec.FieldOther {
			id = codec.LookupFieldID(f.Name)
		} else if invariant.Enabled && id != codec.FieldRemoved {
			invariant.Check(id == codec.LookupFieldID(f.Name), "h1: a field's ID is that of its name")
		}
		if codec.Traits[id]&omit != 0 || id == codec.FieldOther && !codec.IsToken(f.Name) {
			continue
		}
		start, name, size := len(dst), len(f.Name), len(f.Name)+len(f.Value)+4
		if cap(dst)-start < size {
			dst = slices.Grow(dst, size)
		}
		line := dst[start : start+size]
		codec.CopyName(line, f.Name)
		binary.LittleEndian.PutUint16(line[name:], ':'|' '<<8)
		if !codec.CopyValue(line[name+2:size-2], f.Value) {
			continue
		}
		binary.LittleEndian.PutUint16(line[size-2:], '\r'|'\n'<<8)
		dst = dst[:start+size]
	}
	return dst
}

// appendLength appends a Content-Length field line.
func appendLength(dst []byte, length int64) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, length, 10)
	return append(dst, "\r\n"...)
}
