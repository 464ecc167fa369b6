package main

import "strings"

// kind is how an exchange stands when a server fails it. Each column of docs/failures.md is one.
type kind int

const (
	plainGet  kind = iota // a GET, over a new connection to the server
	plainPost             // a POST with its content, over a new connection
	uploading             // a POST whose content is under way, in chunks
	download              // a GET of much content
	pipelined             // the third of three GETs that were sent at once, over a connection that served before
	keptPost              // a POST with its content, over a connection that served before
	tunnelled             // a GET that asks for WebSocket, and the tunnel that follows
	kinds
)

func (k kind) String() string {
	return [...]string{"GET", "POST", "upload under way", "download", "pipelined GET, kept connection",
		"POST, kept connection", "WebSocket"}[k]
}

// served is how many exchanges precede the one that fails, on the same connection of the client. There are two servers
// asked in turn, so that each has one kept connection then.
func (k kind) served() int {
	if k == pipelined || k == keptPost {
		return 2
	}
	return 0
}

// ending is a set of ways in which an exchange may end for the client.
type ending uint16

const (
	whole       ending = 1 << iota // the answer of the server that failed, or would have
	elsewhere                      // the answer of the other server
	badGateway                     // 502
	unavailable                    // 503
	timedOut                       // 504
	cutShort                       // a part of the answer; the connection ends so that the client can tell
	hungUp                         // the connection ends without any answer
	declined                       // the server's own 500

	none ending = 0 // an exchange of this kind cannot meet the failure
)

func (o ending) String() string {
	var all []string
	for i, name := range []string{"whole", "other server", "502", "503", "504", "cut short", "closed", "500"} {
		if o&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	if all == nil {
		return "–"
	}
	return strings.Join(all, " or ")
}

// stage is how far an exchange gets with its server before that fails.
type stage int

const (
	onDial    stage = iota // the server's address, but no server
	onAccept               // the connection is open, nothing was read
	onRequest              // a part of the request's content was read, or its head when it has none
	onHead                 // the request was read, as far as it was sent
	inHead                 // a part of the response head was sent
	afterHead              // all of it
	inContent              // and a part of the content, whose length the head says
	inChunk                // and a part of the content, in the middle of a chunk
	inTrailer              // and all of the content, in chunks, and a part of the trailer section
	inStream               // and a part of the content, which ends with the connection
	afterAll               // the whole response was sent
	inTunnel               // the protocol was switched, and bytes went both ways
)

// act is what the server does then.
type act int

const (
	reset       act = iota // RST
	finish                 // FIN
	halfFinish             // FIN, but it reads on
	stall                  // nothing
	dribble                // sends the rest a byte at a time
	babble                 // sends failure.text at once, and then nothing
	babbleLater            // the same when the client has the response
	decline                // answers 500, and goes on
)

// failure is one way in which a server fails, and what comes of it for each kind of exchange.
type failure struct {
	name  string // the row of docs/failures.md
	stage stage
	act   act
	text  string // of babble
	want  [kinds]ending
	again [kinds]ending // with the retry middleware; nothing in it: not tried
}

// all is the same ending for every kind.
func all(o ending) (w [kinds]ending) {
	for k := range w {
		w[k] = o
	}
	return w
}

// ordinary is the same ending for every kind but tunnels.
func ordinary(o ending) [kinds]ending { return but(all(o), none, tunnelled) }

// but replaces the endings of some kinds.
func but(w [kinds]ending, o ending, of ...kind) [kinds]ending {
	for _, k := range of {
		w[k] = o
	}
	return w
}

// tunnels is the ending of tunnels alone.
func tunnels(o ending) [kinds]ending { return but(all(none), o, tunnelled) }

// repeated are the endings where the retry middleware sends requests again whose method is idempotent; o is that of the
// others.
func repeated(o ending) [kinds]ending { return but(all(elsewhere), o, plainPost, uploading, keptPost) }

// withContent are endings of the kinds whose request has content.
func withContent(o ending) [kinds]ending { return but(all(none), o, plainPost, uploading, keptPost) }

const (
	ok      = "HTTP/1.1 200 OK\r\n"
	chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
	poison  = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
)

// failures are the rows of docs/failures.md.
var failures = []failure{
	{name: "refuses connections", stage: onDial, act: reset, want: all(elsewhere)},
	{name: "does not accept connections", stage: onDial, act: stall, want: all(elsewhere)},

	{name: "resets a new connection", stage: onAccept, act: reset, want: all(badGateway | elsewhere),
		again: repeated(badGateway | elsewhere)},
	{name: "closes a new connection", stage: onAccept, act: finish, want: all(badGateway | elsewhere),
		again: repeated(badGateway | elsewhere)},
	{name: "accepts and says nothing", stage: onAccept, act: stall, want: all(timedOut), again: repeated(timedOut)},

	{name: "resets inside the request's content", stage: onRequest, act: reset, want: withContent(badGateway)},
	{name: "closes inside the request's content", stage: onRequest, act: finish, want: withContent(badGateway)},
	{name: "stops reading the request's content", stage: onRequest, act: stall, want: withContent(timedOut)},

	{name: "resets when it has the request", stage: onHead, act: reset, want: but(all(badGateway), elsewhere, pipelined),
		again: repeated(badGateway)},
	{name: "closes when it has the request", stage: onHead, act: finish, want: but(all(badGateway), elsewhere, pipelined),
		again: repeated(badGateway)},
	{name: "sends FIN when it has the request, and reads on", stage: onHead, act: halfFinish,
		want:  but(all(badGateway), elsewhere, pipelined),
		again: repeated(badGateway)},
	{name: "does not answer", stage: onHead, act: stall, want: all(timedOut), again: repeated(timedOut)},

	{name: "answers 500", stage: onHead, act: decline, want: all(declined), again: repeated(declined)},

	{name: "resets inside the response head", stage: inHead, act: reset, want: all(badGateway), again: all(badGateway)},
	{name: "closes inside the response head", stage: inHead, act: finish, want: all(badGateway)},
	{name: "stops inside the response head", stage: inHead, act: stall, want: all(timedOut), again: all(timedOut)},
	{name: "sends the response head too slowly", stage: inHead, act: dribble, want: all(timedOut)},

	{name: "resets behind the response head", stage: afterHead, act: reset, want: ordinary(cutShort),
		again: ordinary(cutShort)},
	{name: "closes behind the response head", stage: afterHead, act: finish, want: ordinary(cutShort)},
	{name: "stops behind the response head", stage: afterHead, act: stall, want: ordinary(cutShort)},

	{name: "resets inside content of known length", stage: inContent, act: reset, want: ordinary(cutShort)},
	{name: "closes inside content of known length", stage: inContent, act: finish, want: ordinary(cutShort)},
	{name: "stops inside content of known length", stage: inContent, act: stall, want: ordinary(cutShort)},
	{name: "sends content slowly, but steadily", stage: inContent, act: dribble, want: ordinary(whole)},

	{name: "resets inside a chunk", stage: inChunk, act: reset, want: ordinary(cutShort)},
	{name: "closes inside a chunk", stage: inChunk, act: finish, want: ordinary(cutShort)},
	{name: "stops inside a chunk", stage: inChunk, act: stall, want: ordinary(cutShort)},
	{name: "resets inside the trailer section", stage: inTrailer, act: reset, want: ordinary(cutShort)},
	{name: "closes inside the trailer section", stage: inTrailer, act: finish, want: ordinary(cutShort)},
	{name: "stops inside the trailer section", stage: inTrailer, act: stall, want: ordinary(cutShort)},

	{name: "resets inside content that the connection's end would end", stage: inStream, act: reset, want: ordinary(cutShort)},
	{name: "closes behind content that the connection's end ends", stage: inStream, act: finish,
		want: but(ordinary(whole), whole|cutShort, uploading)},
	{name: "stops inside content that the connection's end would end", stage: inStream, act: stall, want: ordinary(cutShort)},

	{name: "resets behind the response", stage: afterAll, act: reset, want: ordinary(whole)},
	{name: "closes behind the response", stage: afterAll, act: finish, want: ordinary(whole)},
	{name: "sends FIN behind the response, and reads on", stage: afterAll, act: halfFinish, want: ordinary(whole)},
	{name: "sends a second response that nobody asked for", stage: afterAll, act: babble, text: poison, want: ordinary(whole)},
	{name: "sends bytes behind the response", stage: afterAll, act: babble, text: "\r\npoison", want: ordinary(whole)},
	{name: "sends a second response on an idle connection", stage: afterAll, act: babbleLater, text: poison,
		want: ordinary(whole)},

	{name: "sends no HTTP", stage: onHead, act: babble, text: "SSH-2.0-poison\r\n\r\n", want: all(badGateway),
		again: all(badGateway)},
	{name: "sends a status that is none", stage: onHead, act: babble, text: "HTTP/1.1 2OO OK\r\nContent-Length: 6\r\n\r\npoison",
		want: all(badGateway)},
	{name: "sends another major version", stage: onHead, act: babble, text: "HTTP/2.0 200 OK\r\nContent-Length: 6\r\n\r\npoison",
		want: all(badGateway)},
	{name: "sends a field line without a colon", stage: onHead, act: babble, text: ok + "poison\r\n\r\n",
		want: all(badGateway)},
	{name: "sends a control character in a field", stage: onHead, act: babble, text: ok + "X: \x00poison\r\n\r\n",
		want: all(badGateway)},
	{name: "sends a length and a transfer coding", stage: onHead, act: babble, text: ok + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\npoison",
		want: all(badGateway)},
	{name: "sends two lengths", stage: onHead, act: babble, text: ok + "Content-Length: 6\r\nContent-Length: 7\r\n\r\npoison",
		want: all(badGateway)},
	{name: "sends a negative length", stage: onHead, act: babble, text: ok + "Content-Length: -6\r\n\r\npoison",
		want: all(badGateway)},
	{name: "sends an unknown transfer coding", stage: onHead, act: babble, text: ok + "Transfer-Encoding: gzip, chunked\r\n\r\npoison",
		want: all(badGateway)},
	{name: "sends a head without end", stage: onHead, act: babble, text: ok + "X: " + strings.Repeat("poison", 20000),
		want: all(badGateway)},
	{name: "switches protocols without being asked", stage: onHead, act: babble, text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\npoison",
		want: all(badGateway)},
	{name: "sends interim responses without end", stage: onHead, act: babble, text: strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 65),
		want: all(badGateway)},
	{name: "sends a chunk size that is none", stage: onHead, act: babble, text: chunked + "poison\r\n",
		want: ordinary(cutShort)},
	{name: "sends a chunk size that overflows", stage: onHead, act: babble, text: chunked + "ffffffffffffffff\r\npoison",
		want: ordinary(cutShort)},
	{name: "sends a chunk longer than its size", stage: onHead, act: babble, text: chunked + "1\r\n" + "poison\r\n0\r\n\r\n",
		want: ordinary(cutShort)},

	{name: "resets a tunnel", stage: inTunnel, act: reset, want: tunnels(cutShort)},
	{name: "closes a tunnel", stage: inTunnel, act: finish, want: tunnels(cutShort)},
	{name: "sends FIN in a tunnel, and reads on", stage: inTunnel, act: halfFinish, want: tunnels(whole)},
	{name: "says nothing in a tunnel", stage: inTunnel, act: stall, want: tunnels(cutShort)},
}
