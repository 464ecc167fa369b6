package exchange

import (
	"bytes"

	"traffic_management/codec"
)

// TunnelState is how far an exchange has become a tunnel for another protocol (RFC 9110 section 7.8). In a tunnel the
// request's content is what the client sends and the response's is what the server sends; either side may end first.
type TunnelState uint8

// States of the tunnel.
const (
	TunnelNone        TunnelState = iota // no other protocol is offered to the server
	TunnelOffered                        // one is; any other response than 101 is an ordinary one, or a failure (errNotSwitched)
	TunnelOpen                           // the server answered 101: bytes pass both ways
	TunnelClientEnded                    // as TunnelOpen, but the client's side has ended
	TunnelServerEnded                    // as TunnelOpen, but the server's side has ended
)

func (s TunnelState) String() string {
	return [...]string{"none", "offered", "open", "client ended", "server ended"}[s]
}

var (
	errUpgradeContent = refusal(codec.KindSyntax, 400, "a request that asks for another protocol cannot have content")
	errProtocol       = refusal(codec.KindSyntax, 501, "the entry point does not let the protocol through")
	// Of HTTP/2 only: there success says that the protocol was taken up (RFC 8441 section 5).
	errNotSwitched = refusal(codec.KindSyntax, 400, "the server does not take up the protocol that was asked for")
)

// Tunnel reports whether the exchange became a tunnel. Its duration says nothing of how long requests take.
func (x *Exchange) Tunnel() bool { return x.tunnel >= TunnelOpen }

// OffersUpgrade reports whether the request offers the server another protocol. What its client sends behind it may be
// meant for that protocol, so nothing of it can be read as a request, whatever the response is.
func (x *Exchange) OffersUpgrade() bool { return x.tunnel != TunnelNone }

// offer decides which of the protocols that the client asks for the server is offered: the first that the entry point
// lets through, alone. Without one the request goes on as if it had not asked, as it does for HTTP/1.0 (RFC 9110
// section 7.8); in HTTP/2 it asked for nothing else, and is refused (RFC 8441 section 4). So is content: where it ends, the
// other protocol would begin in the middle of what the client sends.
func (x *Exchange) offer() *codec.Error {
	h := &x.RequestHead
	var field *codec.Field
	var protocol []byte
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID != codec.FieldUpgrade {
			continue
		}
		if protocol == nil && h.Version != codec.HTTP10 {
			field, protocol = f, x.env.choose(f.Value)
		}
		f.ID = codec.FieldRemoved
	}
	if protocol == nil {
		h.Options &^= codec.OptUpgrade
		if h.Version == codec.HTTP2 {
			return errProtocol
		}
		return nil
	}
	x.tunnel = TunnelOffered
	if x.request != RequestWhole {
		return errUpgradeContent
	}
	field.ID, field.Value = codec.FieldUpgrade, protocol
	return nil
}

// choose is the first protocol of a list that is let through, of whatever version, nil when none is.
func (e *Env) choose(list []byte) []byte {
	for list != nil {
		var protocol []byte
		protocol, list = codec.NextElement(list)
		name, version, hasVersion := bytes.Cut(protocol, slash)
		if !codec.IsToken(name) || hasVersion && !codec.IsToken(version) {
			continue
		}
		for _, allowed := range e.Upgrades {
			if codec.EqualFold(name, allowed) {
				return protocol
			}
		}
	}
	return nil
}

var slash = []byte("/")

// switched makes the exchange a tunnel: the server answered 101. From now on nothing can be repeated, and a retry that
// came to this weighs on nobody's budget: it may last for days.
func (x *Exchange) switched(h *codec.Head) {
	if x.tries > 0 {
		x.leavePlace()
	}
	x.Status, x.tunnel = h.Status, TunnelOpen
	x.request, x.response = RequestStreaming, ResponseStreaming
	codec.RemoveHopByHop(h)
	x.accept(h)
	x.client.Head(h, false)
}

// toServer passes on what the client sends through the tunnel; end closes the server's direction behind it.
func (x *Exchange) toServer(p []byte, end bool) {
	if x.stream == nil {
		return // the tunnel is over
	}
	x.stream.Data(p, end)
	switch {
	case !end:
		if x.stream.Queued() > codec.HighMark {
			x.hold(holdsClient)
		}
	case x.tunnel == TunnelServerEnded:
		x.request = RequestWhole
		x.spent()
		x.response = ResponseWhole
		x.settle()
	default:
		x.request, x.tunnel = RequestWhole, TunnelClientEnded
	}
}

// toClient passes on what the server sends through the tunnel; end closes the client's direction behind it.
func (x *Exchange) toClient(p []byte, end bool) {
	x.client.Data(p, end)
	switch {
	case !end:
		if x.client.Queued() > codec.HighMark {
			x.hold(holdsServer)
		}
	case x.tunnel == TunnelClientEnded:
		x.spent()
		x.response = ResponseWhole
		x.settle()
	default:
		x.tunnel = TunnelServerEnded
	}
}

// EndTunnel ends a tunnel that neither side ended: both get what is queued for them, then the end. e says why, for the
// observer.
func (x *Exchange) EndTunnel(e *codec.Error) {
	if x.response >= ResponseWhole {
		return
	}
	x.Err = e
	x.stream.Data(nil, true)
	x.client.Data(nil, true)
	x.request, x.response = RequestWhole, ResponseWhole
	x.settle()
}
