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

// streamEvent is what moves a stream from state to state.
type streamEvent uint8

const (
	gotHeaders  streamEvent = iota // HEADERS of the peer, or trailers
	gotData                        // DATA of the peer
	gotEnd                         // END_STREAM of the peer, with either
	gotReset                       // RST_STREAM of the peer
	gotUpdate                      // WINDOW_UPDATE of the peer
	sentHeaders                    // HEADERS of ours
	sentEnd                        // END_STREAM of ours
	sentReset                      // RST_STREAM of ours
	streamEvents
)

// step is what an event does to a stream: its next state, or the code of the stream error that it is.
type step struct {
	next streamState
	code ErrCode
}

// stay, to and wrong make a step.
func to(next streamState) step { return step{next: next} }
func wrong(code ErrCode) step  { return step{next: streamShut, code: code} }

// steps is figure 2. What a peer sends on a closed stream never gets here: it has none any more (Session.closed).
var steps = [streamStates][streamEvents]step{
	streamIdle: {gotHeaders: wrong(ProtocolError), gotData: wrong(ProtocolError), gotEnd: wrong(ProtocolError),
		gotReset: wrong(ProtocolError), gotUpdate: wrong(ProtocolError),
		sentHeaders: to(streamOpen), sentEnd: to(streamHalfLocal), sentReset: to(streamShut)},
	streamOpen: {gotHeaders: to(streamOpen), gotData: to(streamOpen), gotEnd: to(streamHalfRemote),
		gotReset: to(streamShut), gotUpdate: to(streamOpen),
		sentHeaders: to(streamOpen), sentEnd: to(streamHalfLocal), sentReset: to(streamShut)},
	streamHalfLocal: {gotHeaders: to(streamHalfLocal), gotData: to(streamHalfLocal), gotEnd: to(streamShut),
		gotReset: to(streamShut), gotUpdate: to(streamHalfLocal),
		sentHeaders: wrong(InternalError), sentEnd: wrong(InternalError), sentReset: to(streamShut)},
	streamHalfRemote: {gotHeaders: wrong(StreamClosed), gotData: wrong(StreamClosed), gotEnd: wrong(StreamClosed),
		gotReset: to(streamShut), gotUpdate: to(streamHalfRemote),
		sentHeaders: to(streamHalfRemote), sentEnd: to(streamShut), sentReset: to(streamShut)},
	streamShut: {gotHeaders: wrong(StreamClosed), gotData: wrong(StreamClosed), gotEnd: wrong(StreamClosed),
		gotReset: to(streamShut), gotUpdate: to(streamShut),
		sentHeaders: wrong(InternalError), sentEnd: wrong(InternalError), sentReset: to(streamShut)},
}
