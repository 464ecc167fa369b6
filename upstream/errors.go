package upstream

import "traffic_management/codec"

type errText string

func (e errText) Error() string { return string(e) }

// Errors that Open reports through Receiver.Failed.
var (
	errNoTarget = &codec.Error{Side: codec.Upstream, Kind: codec.KindNoTarget, Retry: codec.RetryNever, Status: 503,
		Cause: errText("no server of the service is available")}
	errBroken = &codec.Error{Side: codec.Upstream, Kind: codec.KindNoTarget, Retry: codec.RetryNever, Status: 503,
		Cause: errText("the circuit breakers of all available servers are open")}
	errQueueFull = &codec.Error{Side: codec.Upstream, Kind: codec.KindQueue, Retry: codec.RetryNever, Status: 503,
		Cause: errText("too many requests wait for a connection to the server")}
	errQueueTimeout = &codec.Error{Side: codec.Upstream, Kind: codec.KindQueue, Retry: codec.RetryNever, Status: 503,
		Cause: errText("no connection to the server became free in time")}
	errAttemptTimeout = &codec.Error{Side: codec.Upstream, Kind: codec.KindQueue, Retry: codec.RetrySafe, Status: 504,
		Cause: errText("the attempt's time was over before a connection to the server was free")}
)

// Errors of a connection to a server. Replayable ones say so.
var (
	errConnectTimeout = &codec.Error{Side: codec.Upstream, Kind: codec.KindTimeout, Retry: codec.RetrySafe, Status: 504,
		Cause: errText("the server did not accept a connection in time")}
	errRefused = &codec.Error{Side: codec.Upstream, Kind: codec.KindRefused, Retry: codec.RetrySafe, Status: 502,
		Cause: errText("the server cannot be connected to")}
	errNoSocket = &codec.Error{Side: codec.Internal, Kind: codec.KindQueue, Retry: codec.RetrySafe, Status: 503,
		Cause: errText("no descriptor or port is left for a connection to the server")}
	errShakesShed = &codec.Error{Side: codec.Internal, Kind: codec.KindQueue, Retry: codec.RetrySafe, Status: 503,
		Cause: errText("too many TLS handshakes with servers wait to be computed")}
	errServerLeft = &codec.Error{Side: codec.Upstream, Kind: codec.KindNoTarget, Retry: codec.RetrySafe, Status: 503,
		Cause: errText("the server left the service")}
	errUnsent = &codec.Error{Side: codec.Upstream, Kind: codec.KindClosed, Retry: codec.RetrySafe, Status: 502,
		Cause: errText("the server closed the connection before the request left")}
	errNotTaken = &codec.Error{Side: codec.Upstream, Kind: codec.KindClosed, Retry: codec.RetrySafe, Status: 502,
		Cause: errText("the server goes away, or has enough requests, and did not look at this one")}
	errHungUp = &codec.Error{Side: codec.Upstream, Kind: codec.KindClosed, Retry: codec.RetrySafe, Status: 502,
		Cause: errText("the server closed the connection as soon as it was open")}
	errIdleRace = &codec.Error{Side: codec.Upstream, Kind: codec.KindClosed, Retry: codec.RetryIdle, Status: 502,
		Cause: errText("the server closed the idle connection")}
	errClosed = &codec.Error{Side: codec.Upstream, Kind: codec.KindClosed, Retry: codec.RetryUnanswered, Status: 502,
		Cause: errText("the server closed the connection before a response")}
	errTruncated = &codec.Error{Side: codec.Upstream, Kind: codec.KindClosed, Retry: codec.RetryNever, Status: 502,
		Cause: errText("the server closed the connection inside a response")}
	errHeadTimeout = &codec.Error{Side: codec.Upstream, Kind: codec.KindTimeout, Retry: codec.RetryUnanswered, Status: 504,
		Cause: errText("the server did not respond in time")}
	errHeadStalled = &codec.Error{Side: codec.Upstream, Kind: codec.KindTimeout, Retry: codec.RetryNever, Status: 504,
		Cause: errText("the server did not send its final response in time")}
	errIdleTimeout = &codec.Error{Side: codec.Upstream, Kind: codec.KindTimeout, Retry: codec.RetryNever, Status: 504,
		Cause: errText("the server stopped sending inside a response")}
	errInterim = &codec.Error{Side: codec.Upstream, Kind: codec.KindSyntax, Retry: codec.RetryNever, Status: 502,
		Cause: errText("the server sent too many interim responses")}
	errSilent = &codec.Error{Side: codec.Upstream, Kind: codec.KindTimeout, Retry: codec.RetryUnanswered, Status: 504,
		Cause: errText("the server gave no sign of life")}
	errUntaken = &codec.Error{Side: codec.Upstream, Kind: codec.KindTimeout, Retry: codec.RetryUnanswered, Status: 504,
		Cause: errText("the server took nothing of what it was sent")}
	errNoTunnel = &codec.Error{Side: codec.Upstream, Kind: codec.KindNoTarget, Retry: codec.RetrySafe, Status: 502,
		Cause: errText("the server speaks HTTP/2 and lets no other protocol through (RFC 8441)")}
	errUnsendable = &codec.Error{Side: codec.Internal, Kind: codec.KindSyntax, Retry: codec.RetryNever, Status: 502,
		Cause: errText("the request head cannot be sent as HTTP/1.1")}
)
