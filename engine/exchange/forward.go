package exchange

import (
	"bytes"
	"unsafe"

	"traffic_management/codec"
)

type errText string

func (e errText) Error() string { return string(e) }

func refusal(kind codec.Kind, status int, why string) *codec.Error {
	return &codec.Error{Side: codec.Client, Kind: kind, Status: status, Cause: errText(why)}
}

// Why a well-formed request does not get through.
var (
	errNoRoute      = refusal(codec.KindNone, 404, "no router matches the request")
	errExpectation  = refusal(codec.KindSyntax, 417, "the only expectation that can be met is 100-continue")
	errConnect      = refusal(codec.KindSyntax, 501, "CONNECT is not supported")
	errMisdirected  = refusal(codec.KindSyntax, 421, "the TLS session was made for a host with other options")
	errBodyTooLarge = refusal(codec.KindTooLarge, 413, "the request content is larger than the entry point allows")
	errBuffer       = refusal(codec.KindTooLarge, 413, "the request content is larger than may be read before it goes on")
	errAlias        = refusal(codec.KindSyntax, 400, "a field name could be taken for another one that the proxy sets")
	errPath         = refusal(codec.KindSyntax, 400, "the path is not a valid one")
)

// maxRequestID bounds a client's X-Request-Id; a longer one is replaced.
const maxRequestID = 128

// prepare checks the head beyond its syntax, brings its path into the one form that is routed and forwarded, and sets
// the fields that say where the request came from.
func (x *Exchange) prepare() *codec.Error {
	h := &x.RequestHead
	if h.Method == codec.MethodConnect {
		return errConnect
	}
	if x.misdirected(h.Authority) {
		return errMisdirected
	}
	if x.env.MaxBody > 0 && h.Framing == codec.ByLength && h.Length > x.env.MaxBody {
		return errBodyTooLarge
	}
	if err := x.normalize(); err != nil {
		return err
	}
	var seen forwarding
	if err := x.screen(&seen); err != nil {
		return err
	}
	x.setForwarding(&seen)
	return nil
}

// normalize resolves the path for routing and forwarding alike, so that no server sees another path than the rules did.
func (x *Exchange) normalize() *codec.Error {
	h := &x.RequestHead
	if len(h.Path) == 0 && h.Method != codec.MethodOptions {
		h.Path = rootPath // of an absolute form (RFC 9110 section 4.2.3); that of OPTIONS is about the whole server
	}
	path, err := codec.NormalizePath(x.arena, h.Path)
	if err != nil {
		return errPath
	}
	h.Path = x.taken(path, h.Path)
	x.path = x.taken(codec.RoutingPath(x.arena, h.Path), h.Path)
	return nil
}

// taken is the result of a function that returns its input as it is or appends to the arena, which may begin with the input.
func (x *Exchange) taken(out, in []byte) []byte {
	if unsafe.SliceData(out) == unsafe.SliceData(in) && len(out) == len(in) {
		return in
	}
	n := len(x.arena)
	x.arena = out
	return out[n:len(out):len(out)]
}

// forwarding is what a head said about where its request came from: indexes into its fields plus one, 0 when absent.
type forwarding struct {
	forwarded, xFor, xProto, xHost, xPort, requestID int
}

// screen looks at every field once: it drops what must not reach a server and notes what setForwarding builds on.
func (x *Exchange) screen(seen *forwarding) *codec.Error {
	h := &x.RequestHead
	trusted := x.Peer.Trusted(x.env)
	for i := range h.Fields {
		f := &h.Fields[i]
		slot := (*int)(nil)
		switch f.ID {
		case codec.FieldOther:
			switch {
			case !trusted && isForwarding(f.Name):
			case x.env.Alias == AliasKeep || !isAlias(f.Name):
				continue
			case x.env.Alias == AliasReject:
				return errAlias
			}
			f.ID = codec.FieldRemoved
			continue
		case codec.FieldProxy: // a CGI server would take it for the variable HTTP_PROXY
			f.ID = codec.FieldRemoved
			continue
		case codec.FieldExpect:
			if err := x.expect(f); err != nil {
				return err
			}
			continue
		case codec.FieldXRequestID:
			if len(f.Value) > 0 && len(f.Value) <= maxRequestID && codec.All(f.Value, codec.ClassTarget) {
				seen.requestID = i + 1
			} else {
				f.ID = codec.FieldRemoved
			}
			continue
		case codec.FieldForwarded:
			slot = &seen.forwarded
		case codec.FieldXForwardedFor:
			slot = &seen.xFor
		case codec.FieldXForwardedProto:
			slot = &seen.xProto
		case codec.FieldXForwardedHost:
			slot = &seen.xHost
		case codec.FieldXForwardedPort:
			slot = &seen.xPort
		case codec.FieldXForwardedServer, codec.FieldXRealIP:
		default:
			continue
		}
		if !trusted {
			f.ID = codec.FieldRemoved
		} else if slot != nil {
			*slot = i + 1
		}
	}
	return nil
}

// screenTrailers drops from a trailer section what screen drops from a head, and the names that filters have decided on,
// for servers that merge the two. The known names of the first are never sent in trailers.
func (x *Exchange) screenTrailers(t []codec.Field) {
	for i := range t {
		f := &t[i]
		if f.ID == codec.FieldOther && (isForwarding(f.Name) || x.env.Alias != AliasKeep && isAlias(f.Name)) ||
			len(x.ruled) > 0 && x.isRuled(f.Name) {
			f.ID = codec.FieldRemoved
		}
	}
}

// expect handles the Expect field (RFC 9110 section 10.1.1). 100-continue is the server's to answer.
func (x *Exchange) expect(f *codec.Field) *codec.Error {
	switch {
	case !codec.EqualFold(f.Value, "100-continue"):
		return errExpectation
	case !x.awaitsContinue: // HTTP/1.0, or no content to wait with
		f.ID = codec.FieldRemoved
	}
	return nil
}

// isForwarding reports whether a name is one of the X-Forwarded-* fields, of which servers know more than we do.
func isForwarding(name []byte) bool {
	const prefix = "X-Forwarded-"
	return len(name) > len(prefix) && codec.EqualFold(name[:len(prefix)], prefix)
}

// isAlias reports whether a name becomes that of a field we set or trust when "_" and "." are read as "-".
func isAlias(name []byte) bool {
	if bytes.IndexByte(name, '_') < 0 && bytes.IndexByte(name, '.') < 0 {
		return false
	}
	var folded [32]byte
	n := copy(folded[:], name)
	for i, c := range folded[:n] {
		if c == '_' || c == '.' {
			folded[i] = '-'
		}
	}
	switch {
	case isForwarding(folded[:n]):
		return true
	case n < len(name):
		return false
	}
	switch codec.LookupFieldID(folded[:n]) {
	case codec.FieldOther, codec.FieldAccept, codec.FieldAcceptEncoding, codec.FieldUserAgent, codec.FieldReferer:
		return false
	}
	return true
}

// setForwarding tells the server about the client. What a trusted peer said is continued, anything else was dropped.
func (x *Exchange) setForwarding(seen *forwarding) {
	h, p := &x.RequestHead, x.Peer
	if len(p.addr) > 0 {
		if seen.xFor > 0 {
			f := &h.Fields[seen.xFor-1]
			f.Value = x.join(f.Value, []byte(", "), p.addr)
		} else {
			x.add(codec.FieldXForwardedFor, p.addr)
		}
	}
	if seen.forwarded > 0 {
		f := &h.Fields[seen.forwarded-1]
		f.Value = x.forwardedElement(f.Value)
	}
	if seen.xProto == 0 {
		x.add(codec.FieldXForwardedProto, p.scheme())
	}
	if seen.xHost == 0 && len(h.Authority) > 0 {
		x.add(codec.FieldXForwardedHost, h.Authority)
	}
	if seen.xPort == 0 && len(p.port) > 0 {
		x.add(codec.FieldXForwardedPort, p.port)
	}
	if seen.requestID > 0 {
		x.RequestID = h.Fields[seen.requestID-1].Value
	} else {
		x.RequestID = x.newRequestID()
		x.add(codec.FieldXRequestID, x.RequestID)
	}
}

var rootPath = []byte("/")

func (x *Exchange) add(id codec.FieldID, value []byte) {
	x.RequestHead.Fields = append(x.RequestHead.Fields, codec.NewField(id, value))
}

// join appends the parts to the arena as one value.
func (x *Exchange) join(parts ...[]byte) []byte {
	n := len(x.arena)
	for _, p := range parts {
		x.arena = append(x.arena, p...)
	}
	return x.arena[n:len(x.arena):len(x.arena)]
}

// forwardedElement continues a Forwarded field (RFC 7239 section 4).
func (x *Exchange) forwardedElement(before []byte) []byte {
	n := len(x.arena)
	x.arena = append(append(x.arena, before...), ", for="...)
	switch addr := x.Peer.Addr.Addr(); {
	case !addr.IsValid():
		x.arena = append(x.arena, "unknown"...)
	case addr.Is6():
		x.arena = append(append(append(x.arena, `"[`...), x.Peer.addr...), `]"`...)
	default:
		x.arena = append(x.arena, x.Peer.addr...)
	}
	if len(x.RequestHead.Authority) > 0 {
		x.arena = append(append(append(x.arena, `;host="`...), x.RequestHead.Authority...), '"')
	}
	x.arena = append(append(x.arena, ";proto="...), x.Peer.scheme()...)
	return x.arena[n:len(x.arena):len(x.arena)]
}

// hexPairs holds the two hexadecimal digits of every byte.
var hexPairs = func() (t [256][2]byte) {
	const digits = "0123456789abcdef"
	for i := range t {
		t[i] = [2]byte{digits[i>>4], digits[i&15]}
	}
	return t
}()

// newRequestID makes 128 random bits in hexadecimal.
func (x *Exchange) newRequestID() []byte {
	var id [32]byte
	v, w := x.local.rnd.Uint64(), x.local.rnd.Uint64()
	for i := 0; i < 16; i += 2 {
		*(*[2]byte)(id[i:]) = hexPairs[byte(v)]
		*(*[2]byte)(id[16+i:]) = hexPairs[byte(w)]
		v, w = v>>8, w>>8
	}
	n := len(x.arena)
	x.arena = append(x.arena, id[:]...)
	return x.arena[n:len(x.arena):len(x.arena)]
}

// strip removes what concerns only the client's connection, after the rules have seen the head. Of the protocols it asks
// for at most one stays, and that it takes trailers.
func (x *Exchange) strip() *codec.Error {
	h := &x.RequestHead
	codec.RemoveHopByHop(h)
	if h.Options&(codec.OptUpgrade|codec.OptTE) == 0 {
		return nil
	}
	if h.Version != codec.HTTP2 && !takesTrailers(h) {
		h.Options &^= codec.OptTE
	}
	if h.Options&codec.OptUpgrade == 0 {
		return nil
	}
	return x.offer()
}

// takesTrailers reports whether TE says so (RFC 9110 section 10.1.4): in HTTP/1.1 the connection option alone says only
// that there is one.
func takesTrailers(h *codec.Head) bool {
	for i := range h.Fields {
		if h.Fields[i].ID != codec.FieldTE {
			continue
		}
		for list := h.Fields[i].Value; list != nil; {
			var coding []byte
			if coding, list = codec.NextElement(list); codec.EqualFold(coding, "trailers") {
				return true
			}
		}
	}
	return false
}
