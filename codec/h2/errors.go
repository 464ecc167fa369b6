package h2

import (
	"errors"
	"fmt"

	"traffic_management/codec"
)

// ErrCode is an error code of RST_STREAM and GOAWAY frames (RFC 9113 section 7).
type ErrCode uint32

// Error codes.
const (
	NoError ErrCode = iota
	ProtocolError
	InternalError
	FlowControlError
	SettingsTimeout
	StreamClosed
	FrameSizeError
	RefusedStream
	Cancel
	CompressionError
	ConnectError
	EnhanceYourCalm
	InadequateSecurity
	HTTP11Required
)

var codeNames = [...]string{"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
	"STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR",
	"ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"}

func (c ErrCode) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint32(c))
}

// Error ends a connection (RFC 9113 section 5.4.1). Values are shared and immutable.
type Error struct {
	Code   ErrCode
	Reason string // of a fixed set, for metrics and logs: lower case, "_" between words
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Reason }

// Ways in which a peer ends its connection by what it sends.
var (
	errPreface      = &Error{ProtocolError, "preface"}
	errNoSettings   = &Error{ProtocolError, "no_settings"}
	errFrameSize    = &Error{FrameSizeError, "frame_size"}
	errStreamID     = &Error{ProtocolError, "stream_id"}
	errIdleStream   = &Error{ProtocolError, "idle_stream"}
	errClosedStream = &Error{StreamClosed, "closed_stream"}
	errSettings     = &Error{ProtocolError, "settings"}
	errWindow       = &Error{FlowControlError, "window"}
	errZeroWindow   = &Error{ProtocolError, "zero_window_update"}
	errPadding      = &Error{ProtocolError, "padding"}
	errContinuation = &Error{ProtocolError, "continuation"}
	errPush         = &Error{ProtocolError, "push_promise"}
	errGoAway       = &Error{ProtocolError, "goaway"}
	errPriority     = &Error{ProtocolError, "priority_update"}
	errCompression  = &Error{CompressionError, "compression"}
	errHeadLong     = &Error{EnhanceYourCalm, "field_block_long"}
	errFragments    = &Error{EnhanceYourCalm, "continuation_flood"}
	errUnread       = &Error{EnhanceYourCalm, "answers_unread"}
	errResets       = &Error{EnhanceYourCalm, "reset_flood"}
	errSettingsRate = &Error{EnhanceYourCalm, "settings_flood"}
	errPings        = &Error{EnhanceYourCalm, "ping_flood"}
	errEmptyData    = &Error{EnhanceYourCalm, "empty_data_flood"}
	errPriorities   = &Error{EnhanceYourCalm, "priority_flood"}
	errUpdates      = &Error{EnhanceYourCalm, "window_update_flood"}
	errUnknown      = &Error{EnhanceYourCalm, "unknown_frame_flood"}
)

// streamFault is one way in which a stream ends before its message does.
type streamFault uint8

const (
	streamReset     streamFault = iota // the peer reset it
	streamRefused                      // the peer reset it with REFUSED_STREAM, or will not take it since it goes away
	streamMalformed                    // what the peer sent on it is malformed (RFC 9113 section 8.1.1)
	streamTooLarge                     // its field section is over the limits
	streamWindow                       // the peer broke the rules of its windows or states
	streamStalled                      // the peer's windows stayed closed
	streamLost                         // the connection ends because of what the peer sent
	streamFaultCount
)

var streamFaults = [streamFaultCount]struct {
	kind   codec.Kind
	status int // for a client whose server did it
	cause  string
}{
	streamReset:     {codec.KindClosed, 502, "HTTP/2: the peer reset the stream"},
	streamRefused:   {codec.KindRefused, 502, "HTTP/2: the peer refused the stream"},
	streamMalformed: {codec.KindSyntax, 502, "HTTP/2: the message is malformed"},
	streamTooLarge:  {codec.KindTooLarge, 502, "HTTP/2: the field section is over the limit"},
	streamWindow:    {codec.KindSyntax, 502, "HTTP/2: a frame that the stream's state or window does not allow"},
	streamStalled:   {codec.KindTimeout, 504, "HTTP/2: the peer's flow-control window stayed closed"},
	streamLost:      {codec.KindClosed, 502, "HTTP/2: the connection ended by an error"},
}

// streamErrors has the error of every fault, by the side that made it and by what may follow.
var streamErrors = func() (t [2][streamFaultCount][codec.RetrySafe + 1]*codec.Error) {
	for f, d := range streamFaults {
		cause := errors.New(d.cause)
		for retry := range codec.RetrySafe + 1 {
			t[0][f][retry] = &codec.Error{Side: codec.Client, Kind: d.kind, Cause: cause}
			t[1][f][retry] = &codec.Error{Side: codec.Upstream, Kind: d.kind, Retry: retry, Status: d.status, Cause: cause}
		}
	}
	return t
}()

var (
	errHeadTooLarge = &codec.Error{Side: codec.Client, Kind: codec.KindTooLarge, Status: 431,
		Cause: errors.New("field section: longer than the limit")}
	errUnsendable = &codec.Error{Side: codec.Internal, Kind: codec.KindSyntax, Retry: codec.RetryNever, Status: 502,
		Cause: errors.New("the request head cannot be sent as HTTP/2")}
	errTooManyFields = &codec.Error{Side: codec.Client, Kind: codec.KindTooLarge, Status: 431,
		Cause: errors.New("field section: more field lines than the limit")}
)
