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

	none ending = 0 // an exchange of this kind cannot meet the failure
)

func (o ending) String() string {
	var all []string
	for i, name := range []string{"whole", "other server", "502", "503", "504", "cut short", "closed"} {
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
)

// failure is one way in which a server fails, and what comes of it for each kind of exchange.
type failure struct {
	name  string // the row of docs/failures.md
	stage stage
	act   act
	text  string // of babble
	want  [kinds]ending
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

// withContent are endings of the kinds whose request has content.
func withContent(o ending) [kinds]ending { return but(all(none), o, plainPost, uploading, keptPost) }

const (
	ok      = "HTTP/1.1 200 OK\r\n"
	chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
	poison  = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
)

// failures are the rows of docs/failures.md.
var failures = []failure{
	{"refuses connections", onDial, reset, "", all(elsewhere)},
	{"does not accept connections", onDial, stall, "", all(elsewhere)},

	{"resets a new connection", onAccept, reset, "", all(badGateway | elsewhere)},
	{"closes a new connection", onAccept, finish, "", all(badGateway | elsewhere)},
	{"accepts and says nothing", onAccept, stall, "", all(timedOut)},

	{"resets inside the request's content", onRequest, reset, "", withContent(badGateway)},
	{"closes inside the request's content", onRequest, finish, "", withContent(badGateway)},
	{"stops reading the request's content", onRequest, stall, "", withContent(timedOut)},

	{"resets when it has the request", onHead, reset, "", but(all(badGateway), elsewhere, pipelined)},
	{"closes when it has the request", onHead, finish, "", but(all(badGateway), elsewhere, pipelined)},
	{"sends FIN when it has the request, and reads on", onHead, halfFinish, "", but(all(badGateway), elsewhere, pipelined)},
	{"does not answer", onHead, stall, "", all(timedOut)},

	{"resets inside the response head", inHead, reset, "", all(badGateway)},
	{"closes inside the response head", inHead, finish, "", all(badGateway)},
	{"stops inside the response head", inHead, stall, "", all(timedOut)},
	{"sends the response head too slowly", inHead, dribble, "", all(timedOut)},

	{"resets behind the response head", afterHead, reset, "", ordinary(cutShort)},
	{"closes behind the response head", afterHead, finish, "", ordinary(cutShort)},
	{"stops behind the response head", afterHead, stall, "", ordinary(cutShort)},

	{"resets inside content of known length", inContent, reset, "", ordinary(cutShort)},
	{"closes inside content of known length", inContent, finish, "", ordinary(cutShort)},
	{"stops inside content of known length", inContent, stall, "", ordinary(cutShort)},
	{"sends content slowly, but steadily", inContent, dribble, "", ordinary(whole)},

	{"resets inside a chunk", inChunk, reset, "", ordinary(cutShort)},
	{"closes inside a chunk", inChunk, finish, "", ordinary(cutShort)},
	{"stops inside a chunk", inChunk, stall, "", ordinary(cutShort)},
	{"resets inside the trailer section", inTrailer, reset, "", ordinary(cutShort)},
	{"closes inside the trailer section", inTrailer, finish, "", ordinary(cutShort)},
	{"stops inside the trailer section", inTrailer, stall, "", ordinary(cutShort)},

	{"resets inside content that the connection's end would end", inStream, reset, "", ordinary(cutShort)},
	{"closes behind content that the connection's end ends", inStream, finish, "",
		but(ordinary(whole), whole|cutShort, uploading)},
	{"stops inside content that the connection's end would end", inStream, stall, "", ordinary(cutShort)},

	{"resets behind the response", afterAll, reset, "", ordinary(whole)},
	{"closes behind the response", afterAll, finish, "", ordinary(whole)},
	{"sends FIN behind the response, and reads on", afterAll, halfFinish, "", ordinary(whole)},
	{"sends a second response that nobody asked for", afterAll, babble, poison, ordinary(whole)},
	{"sends bytes behind the response", afterAll, babble, "\r\npoison", ordinary(whole)},
	{"sends a second response on an idle connection", afterAll, babbleLater, poison, ordinary(whole)},

	{"sends no HTTP", onHead, babble, "SSH-2.0-poison\r\n\r\n", all(badGateway)},
	{"sends a status that is none", onHead, babble, "HTTP/1.1 2OO OK\r\nContent-Length: 6\r\n\r\npoison", all(badGateway)},
	{"sends another major version", onHead, babble, "HTTP/2.0 200 OK\r\nContent-Length: 6\r\n\r\npoison", all(badGateway)},
	{"sends a field line without a colon", onHead, babble, ok + "poison\r\n\r\n", all(badGateway)},
	{"sends a control character in a field", onHead, babble, ok + "X: \x00poison\r\n\r\n", all(badGateway)},
	{"sends a length and a transfer coding", onHead, babble, ok + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\npoison",
		all(badGateway)},
	{"sends two lengths", onHead, babble, ok + "Content-Length: 6\r\nContent-Length: 7\r\n\r\npoison", all(badGateway)},
	{"sends a negative length", onHead, babble, ok + "Content-Length: -6\r\n\r\npoison", all(badGateway)},
	{"sends an unknown transfer coding", onHead, babble, ok + "Transfer-Encoding: gzip, chunked\r\n\r\npoison", all(badGateway)},
	{"sends a head without end", onHead, babble, ok + "X: " + strings.Repeat("poison", 20000), all(badGateway)},
	{"switches protocols without being asked", onHead, babble,
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\npoison", all(badGateway)},
	{"sends interim responses without end", onHead, babble, strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 65), all(badGateway)},
	{"sends a chunk size that is none", onHead, babble, chunked + "poison\r\n", ordinary(cutShort)},
	{"sends a chunk size that overflows", onHead, babble, chunked + "ffffffffffffffff\r\npoison", ordinary(cutShort)},
	{"sends a chunk longer than its size", onHead, babble, chunked + "1\r\n" + "poison\r\n0\r\n\r\n", ordinary(cutShort)},

	{"resets a tunnel", inTunnel, reset, "", tunnels(cutShort)},
	{"closes a tunnel", inTunnel, finish, "", tunnels(cutShort)},
	{"sends FIN in a tunnel, and reads on", inTunnel, halfFinish, "", tunnels(whole)},
	{"says nothing in a tunnel", inTunnel, stall, "", tunnels(cutShort)},
}
