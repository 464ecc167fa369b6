package h2

import "traffic_management/codec"

// Stream is one stream of a session (RFC 9113 section 5): it sends one message, and its receiver hears the other. It
// belongs to the session's loop. It is a codec.Stream; what is passed to it is lent for the call.
//
// Whoever got it gives it back with Release, once, whatever became of it; it may not be touched afterwards.
type Stream struct {
	session  *Session
	receiver codec.Receiver
	id       uint32
}

var _ codec.Stream = (*Stream)(nil)
