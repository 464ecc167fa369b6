package h2

import "traffic_management/codec"

var (
	schemeHTTP  = []byte("http")
	schemeHTTPS = []byte("https")
)

// request makes the head of a request whose field block is decoded (RFC 9113 section 8.3.1); end says that no content
// follows. What is wrong with it is in fault. tunnel: it is an extended CONNECT (RFC 8441), given its neutral form.
func (x *section) request(end bool) (tunnel bool) {
	if x.fault != sectionValid {
		return false
	}
	const base = 1<<classMethod | 1<<classScheme | 1<<classPath
	h := &x.head
	h.Version = codec.HTTP2
	h.MethodName = x.pseudo[classMethod]
	if x.seen&(1<<classMethod) == 0 || !codec.IsToken(h.MethodName) || !x.authority() {
		x.malformed()
		return false
	}
	h.Method = codec.LookupMethod(h.MethodName)
	tunnel = x.seen&(1<<classProtocol) != 0
	switch {
	case h.Method == codec.MethodConnect && !tunnel:
		if x.seen&base != 1<<classMethod || len(h.Authority) == 0 {
			x.malformed()
			return false
		}
		h.Form, h.Target = codec.AuthorityForm, h.Authority
	case x.seen&base != base || tunnel && h.Method != codec.MethodConnect || !x.scheme():
		x.malformed()
		return false
	default:
		x.path()
	}
	if tunnel {
		x.neutral()
		return true
	}
	x.framing(end)
	x.joinCookies()
	return false
}

// authority takes :authority or else Host, which must be equal when both are there (RFC 9113 section 8.3.1).
func (x *section) authority() bool {
	h := &x.head
	if x.seen&(1<<classAuthority) == 0 {
		h.Authority = x.host
		return len(x.host) > 0
	}
	h.Authority = x.pseudo[classAuthority]
	return codec.ValidAuthority(h.Authority) && (x.host == nil || codec.EqualFold(x.host, h.Authority))
}

func (x *section) scheme() bool {
	switch s := x.pseudo[classScheme]; {
	case codec.EqualFold(s, "https"):
		x.head.Scheme = schemeHTTPS
	case codec.EqualFold(s, "http"):
		x.head.Scheme = schemeHTTP
	default:
		return false
	}
	return true
}

// path takes :path apart: origin form, or asterisk form with OPTIONS.
func (x *section) path() {
	h := &x.head
	t := x.pseudo[classPath]
	h.Target = t
	switch {
	case len(t) == 1 && t[0] == '*' && h.Method == codec.MethodOptions:
		h.Form, h.Path = codec.AsteriskForm, t
		return
	case len(t) == 0 || t[0] != '/' || codec.NextNotTarget(t, 0) != len(t):
		x.malformed()
		return
	}
	var ok bool
	if h.Path, h.Query, ok = codec.SplitTarget(t); !ok && x.fault == sectionValid {
		x.fault = sectionTarget
	}
}

// neutral gives an extended CONNECT the form that offers of protocols have in every version: GET with Upgrade.
func (x *section) neutral() {
	h := &x.head
	protocol := x.pseudo[classProtocol]
	if !x.limits.ExtendedConnect || !codec.IsToken(protocol) || h.Length >= 0 {
		x.malformed()
		return
	}
	h.Method, h.MethodName = codec.MethodGet, methodGet
	h.Options |= codec.OptUpgrade
	h.Fields = append(h.Fields, codec.NewField(codec.FieldUpgrade, protocol))
	x.joinCookies()
}

var methodGet = []byte("GET")

// framing tells how the content of a message that may have some is delimited.
func (x *section) framing(end bool) {
	h := &x.head
	switch {
	case end && h.Length > 0:
		x.malformed()
	case end:
		h.Framing = codec.NoContent
	case h.Length >= 0:
		h.Framing = codec.ByLength
	default:
		h.Framing = codec.ByEndStream
	}
}

// response makes the head of a response to a request of this method (RFC 9113 section 8.3.2).
func (x *section) response(request codec.Method, end bool) {
	if x.fault != sectionValid {
		return
	}
	h := &x.head
	h.Version, h.Method = codec.HTTP2, request
	s := x.pseudo[classStatus]
	if x.seen != 1<<classStatus || len(s) != 3 || s[0] == '0' || !codec.All(s, codec.ClassDigit) {
		x.malformed()
		return
	}
	h.Status = int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
	switch {
	case h.Status == 101 || h.Status < 200 && end:
		x.malformed() // RFC 9113 sections 8.6 and 8.1
	case codec.Contentless(request, h.Status):
		h.Framing = codec.NoContent
	default:
		x.framing(end)
	}
}
