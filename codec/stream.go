package codec

import "fmt"

// Stream sends one message, of any version. It is used on its loop only. Everything passed is lent for the call.
// A stream takes all it is given: the sender asks Queued and holds its own source (back-pressure is counted).
type Stream interface {
	// Head sends the head; end says the message has no content. An interim response (1xx) is sent with end false and
	// is followed by another head; 101 (Switching Protocols) by the bytes of the other protocol, as Data.
	Head(h *Head, end bool)
	// Data sends content; end says it was the last and no trailers follow. After 101 end closes this direction only, on
	// either side of the proxy, and the message is over when both are.
	Data(p []byte, end bool)
	// Trailers sends the trailer section and ends the message.
	Trailers(t []Field)
	// Reset gives the message up. What was sent so far must not be taken for a whole message by the peer.
	Reset(e *Error)
	// Hold pauses (true) or resumes what this stream's peer sends in the other direction. Counted.
	Hold(on bool)
	// Queued is how many bytes wait to be sent.
	Queued() int
}

// Receiver hears one upstream attempt. All calls come on the loop, none inside a call the receiver made.
type Receiver interface {
	// Ready gives the stream to send the request on. A request without content may have to be sent again, on another
	// stream: Ready is then called once more, before any Head, and the first stream does nothing from then on.
	Ready(s Stream)
	// Head delivers a response head, interim ones too. It is lent for the call. After 101 (Switching Protocols), which
	// comes only when the request offered that protocol, Data is what the server sends in it.
	Head(h *Head, end bool)
	// Data delivers content, lent for the call; end says it was the last. After 101 end is that of the server's
	// direction: the attempt is over when the stream's is, too.
	Data(p []byte, end bool)
	// Trailers delivers the trailer section and ends the response.
	Trailers(t []Field)
	// Drained says that Queued fell to the low mark after it had passed the high mark.
	Drained()
	// Failed ends the attempt without a whole response. Nothing is called after it.
	Failed(e *Error)
}

// High and low marks of a queue of bytes: over the first its source is held, at the second let go.
const (
	HighMark = 64 << 10
	LowMark  = 16 << 10
)

// Side tells whose fault an error is.
type Side uint8

// Sides.
const (
	Client Side = iota + 1
	Upstream
	Internal
)

func (s Side) String() string { return [...]string{"?", "client", "upstream", "internal"}[s] }

// Kind tells what went wrong; metrics and logs name errors by it.
type Kind uint8

// Kinds of errors.
const (
	KindNone      Kind = iota
	KindSyntax         // bytes that are not HTTP, or not what we let through
	KindTooLarge       // over a configured limit
	KindTimeout        // a configured time ran out
	KindClosed         // the peer closed or reset the connection
	KindRefused        // a connection could not be opened
	KindResolve        // a name has no address
	KindNoTarget       // no server can take the request
	KindQueue          // waited too long, or no room to wait, for a connection
	KindCancelled      // given up by us
	KindPanic          // our own fault, contained
	KindBreaker        // a circuit breaker is open
	KindStatus         // the status of a response was to be asked for again, and could not
	KindOverload       // the proxy is short of memory
	KindTLS            // a TLS handshake failed, or what the peer showed in it is not trusted
	kindCount
)

// Kinds is how many kinds of errors there are, for tables indexed by Kind.
const Kinds = int(kindCount)

func (k Kind) String() string {
	return [...]string{"none", "syntax", "too_large", "timeout", "closed", "refused", "resolve", "no_target", "queue",
		"cancelled", "panic", "breaker_open", "status", "overload", "tls"}[k]
}

// Retry tells what may follow a failed attempt.
type Retry uint8

// What may follow.
const (
	RetryNever      Retry = iota // something of a response came
	RetryUnanswered              // the request, or a part of it, was sent and nothing of a response came
	RetryIdle                    // an idle connection closed under the request: again when the request is idempotent
	RetrySafe                    // nothing of the request was sent: always safe
)

func (r Retry) String() string { return [...]string{"never", "unanswered", "idle", "safe"}[r] }

// Error says whose fault something is, what may follow and what the client is told. Values are shared and immutable
// where nothing about them varies, so that the hot path allocates none.
type Error struct {
	Side   Side
	Kind   Kind
	Retry  Retry
	Status int   // the response status for the client, 0 when there is nobody to tell
	Cause  error // for logs and the local reply's reason; never holds secrets
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%s: %s", e.Side, e.Kind)
	}
	return fmt.Sprintf("%s: %s: %v", e.Side, e.Kind, e.Cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }
