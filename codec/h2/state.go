package h2

// streamState is that of a stream in figure 2 of RFC 9113 section 5.1. Nothing is pushed, so nothing is reserved.
type streamState uint8

const (
	streamIdle       streamState = iota // a client's, its head is not sent
	streamOpen                          // both directions go on
	streamHalfLocal                     // we have sent END_STREAM
	streamHalfRemote                    // the peer has
	streamShut                          // both have, or one has sent RST_STREAM: no frame is sent any more
	streamStates
)

func (s streamState) String() string {
	return [...]string{"idle", "open", "half-closed (local)", "half-closed (remote)", "closed"}[s]
}

// streamEvent is what moves a stream from state to state. RST_STREAM is none: it closes a stream in any state, of
// whichever side; nor are WINDOW_UPDATE and PRIORITY, which change none.
type streamEvent uint8

const (
	gotHeaders  streamEvent = iota // HEADERS of the peer
	gotData                        // DATA of the peer
	gotEnd                         // END_STREAM of the peer, with either
	sentHeaders                    // HEADERS of ours
	sentEnd                        // END_STREAM of ours
	streamEvents
)

// step is what an event does to a stream: its next state, or the code of the stream error that it is.
type step struct {
	next streamState
	code ErrCode
}

func to(next streamState) step { return step{next: next} }
func wrong(code ErrCode) step  { return step{next: streamShut, code: code} }

// steps is figure 2. What a peer sends on an idle or a closed stream never gets here: there is none (Session.closed).
var steps = [streamStates][streamEvents]step{
	streamIdle: {gotHeaders: wrong(ProtocolError), gotData: wrong(ProtocolError), gotEnd: wrong(ProtocolError),
		sentHeaders: to(streamOpen), sentEnd: wrong(InternalError)},
	streamOpen: {gotHeaders: to(streamOpen), gotData: to(streamOpen), gotEnd: to(streamHalfRemote),
		sentHeaders: to(streamOpen), sentEnd: to(streamHalfLocal)},
	streamHalfLocal: {gotHeaders: to(streamHalfLocal), gotData: to(streamHalfLocal), gotEnd: to(streamShut),
		sentHeaders: wrong(InternalError), sentEnd: wrong(InternalError)},
	streamHalfRemote: {gotHeaders: wrong(StreamClosed), gotData: wrong(StreamClosed), gotEnd: wrong(StreamClosed),
		sentHeaders: to(streamHalfRemote), sentEnd: to(streamShut)},
	streamShut: {gotHeaders: wrong(StreamClosed), gotData: wrong(StreamClosed), gotEnd: wrong(StreamClosed),
		sentHeaders: wrong(InternalError), sentEnd: wrong(InternalError)},
}
