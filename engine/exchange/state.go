package exchange

// RequestState is how much of the request has arrived.
type RequestState uint8

// States of the request.
const (
	RequestFresh     RequestState = iota // no head yet
	RequestStreaming                     // head seen, content or trailers outstanding
	RequestWhole                         // all of it arrived
	RequestBroken                        // the client gave up, or sent what cannot be read
)

func (s RequestState) String() string {
	return [...]string{"fresh", "streaming", "whole", "broken"}[s]
}

// ResponseState is how much of the response was given to the client's stream.
type ResponseState uint8

// States of the response. From ResponseWhole on nothing more is sent.
const (
	ResponseUnsent    ResponseState = iota // nothing
	ResponseInterim                        // interim responses only
	ResponseStreaming                      // the final head, content or trailers outstanding
	ResponseWhole                          // all of it
	ResponseBroken                         // cut short, the client can tell
)

func (s ResponseState) String() string {
	return [...]string{"unsent", "interim", "streaming", "whole", "broken"}[s]
}

// AttemptState is where the present attempt stands.
type AttemptState uint8

// States of the attempt.
const (
	AttemptNone     AttemptState = iota // none, or released
	AttemptOpening                      // waits for its stream
	AttemptOpen                         // has its stream, the response is outstanding
	AttemptLost                         // failed; x.lost says how
	AttemptSpent                        // delivered a whole response
	AttemptWaiting                      // none; x.timer ends the wait for the next one, x.lost says why there is one
	AttemptFiltered                     // none; a filter makes the request wait
	AttemptLocal                        // none; the response is the proxy's own
)

func (s AttemptState) String() string {
	return [...]string{"none", "opening", "open", "lost", "spent", "waiting", "filtered", "local"}[s]
}

// ReplayState is whether request content could be sent to another server.
type ReplayState uint8

// States of request content.
const (
	ReplayUnused ReplayState = iota // no server was sent any
	ReplayKept                      // what a server was sent is kept
	ReplayLost                      // a server was sent some that is not kept: there is no further try
)

func (s ReplayState) String() string { return [...]string{"unused", "kept", "lost"}[s] }
