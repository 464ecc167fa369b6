package telemetry

import "github.com/prometheus/client_golang/prometheus"

// series names one family of metrics in the table below.
type series uint8

const (
	buildInfo series = iota
	configLoads
	configLastLoadSuccessful
	configLastSuccess
	oldSnapshots
	upgradesEnded
	overloadLevel
	memoryUsed
	memoryLimit
	invariantsBroken
	entryPointConnections
	entryPointOpenConnections
	entryPointTunnels
	entryPointOpenTunnels
	entryPointRefused
	tlsHandshakes
	tlsHandshakeFailures
	http2Connections
	http2OpenConnections
	http2Errors
	clientErrors
	tlsCertificateExpiry
	tlsCertificateReloads
	tlsOCSPFetches
	requests
	requestDuration
	addedDuration
	requestBytes
	responseBytes
	upstreamErrors
	upstreamConnections
	upstreamReuses
	upstreamReplays
	upstreamOpenConnections
	upstreamRetries
	upstreamRetriesRefused
	serverRequests
	serverUp
	serverEjected
	serverDraining
	serverWeight
	serverInFlight
	serverOpenConnections
	serverIdleConnections
	serverChanges
	breakerState
	breakerChanges
	mirrorSent
	mirrorShed
	keysFetches
	keysLastFetch
	loopTurnDuration
	loopStalls
	loopAcceptPauses
	loopShed
	loopShedUpstream
	loopPanics
	accessLogLines
	accessLogDropped
	accessLogWriteErrors
	seriesCount
)

// seriesKind is what a series is to Prometheus.
type seriesKind uint8

const (
	counterKind   seriesKind = iota // only rises, until the process ends
	gaugeKind                       // rises and falls
	histogramKind                   // counts by upper bound, their sum and number
)

func (k seriesKind) String() string { return [...]string{"counter", "gauge", "histogram"}[k] }

// description says all there is to know about one series. docs/metrics.md is made of these.
type description struct {
	name   string
	kind   seriesKind
	help   string
	labels []string
	scale  *scale // histograms
}

var (
	byRoute      = []string{"router", "service"}
	byService    = []string{"service"}
	byEntryPoint = []string{"entrypoint"}
	byServer     = []string{"service", "server"}
	byLoop       = []string{"loop"}
)

var catalogue = [seriesCount]description{
	buildInfo: {"traffic_build_info", gaugeKind,
		"Always 1; the labels say which build runs.", []string{"version", "goversion"}, nil},
	configLoads: {"traffic_config_loads_total", counterKind,
		"Configurations loaded, the first one included, by result: success, or failure when it was refused.",
		[]string{"result"}, nil},
	configLastLoadSuccessful: {"traffic_config_last_load_successful", gaugeKind,
		"1 when the last configuration was taken, 0 when it was refused and an older one still runs.", nil, nil},
	configLastSuccess: {"traffic_config_last_success_timestamp_seconds", gaugeKind,
		"When the running configuration was loaded, in seconds since 1970.", nil, nil},
	oldSnapshots: {"traffic_config_old_snapshots", gaugeKind,
		"Configurations that were replaced and still have requests, downloads or tunnels running with them.", nil, nil},
	upgradesEnded: {"traffic_upgrades_total", counterKind,
		"Attempts to hand over to a new process, by result: success, or failure when this process went on.",
		[]string{"result"}, nil},
	overloadLevel: {"traffic_overload_level", gaugeKind,
		"0 normally; 1 when memory is short and client connections are closed after a response; 2 when requests are refused.",
		nil, nil},
	memoryUsed: {"traffic_memory_used_bytes", gaugeKind,
		"Memory of the process that a collection would not free, as compared with its limit; 0 without one.", nil, nil},
	memoryLimit: {"traffic_memory_limit_bytes", gaugeKind,
		"Memory that the process may use, by the configuration or its control group; 0 when nothing limits it.", nil, nil},
	invariantsBroken: {"traffic_invariants_broken_total", counterKind,
		"Times the proxy found itself in a state that its own code should never reach; please report any.", nil, nil},

	entryPointConnections: {"traffic_entrypoint_connections_total", counterKind,
		"Client connections accepted.", byEntryPoint, nil},
	entryPointOpenConnections: {"traffic_entrypoint_open_connections", gaugeKind,
		"Client connections open now.", byEntryPoint, nil},
	entryPointTunnels: {"traffic_entrypoint_tunnels_total", counterKind,
		"Tunnels opened, for WebSocket for example: connections upgraded, and streams of HTTP/2.", byEntryPoint, nil},
	entryPointOpenTunnels: {"traffic_entrypoint_open_tunnels", gaugeKind,
		"Tunnels open now.", byEntryPoint, nil},
	entryPointRefused: {"traffic_entrypoint_refused_requests_total", counterKind,
		"Requests answered with 503 for want of memory.", byEntryPoint, nil},
	tlsHandshakes: {"traffic_tls_handshakes_total", counterKind,
		"TLS handshakes of clients completed; resumed is true for those that continued an earlier session, which cost much less.",
		[]string{"entrypoint", "resumed"}, nil},
	tlsHandshakeFailures: {"traffic_tls_handshake_failures_total", counterKind,
		"TLS handshakes of clients not completed, by reason.", []string{"entrypoint", "reason"}, nil},
	http2Connections: {"traffic_http2_connections_total", counterKind,
		"Client connections that spoke HTTP/2.", byEntryPoint, nil},
	http2OpenConnections: {"traffic_http2_open_connections", gaugeKind,
		"Client connections that speak HTTP/2 now.", byEntryPoint, nil},
	http2Errors: {"traffic_http2_errors_total", counterKind,
		"HTTP/2 connections ended for what their client sent, by reason.", []string{"entrypoint", "reason"}, nil},
	clientErrors: {"traffic_client_errors_total", counterKind,
		"Errors of clients that belong to no route, such as malformed requests, by kind.",
		[]string{"entrypoint", "kind"}, nil},

	tlsCertificateExpiry: {"traffic_tls_certificate_expiry_timestamp_seconds", gaugeKind,
		"When a certificate in force expires, in seconds since 1970, by the file it is from and the first name in it.",
		[]string{"entrypoint", "file", "name"}, nil},
	tlsCertificateReloads: {"traffic_tls_certificate_reloads_total", counterKind,
		"Times that changed files of certificates, keys or authorities were read, by result: success, or failure when one was refused and what was in force stays.",
		[]string{"result"}, nil},
	tlsOCSPFetches: {"traffic_tls_ocsp_fetches_total", counterKind,
		"Attempts to get an OCSP response for a certificate that must have one, by result: success or failure.",
		[]string{"result"}, nil},

	requests: {"traffic_requests_total", counterKind,
		"Requests ended, by class of the status code sent (1xx to 5xx); 0 when the client was gone before a response.",
		[]string{"router", "service", "code"}, nil},
	requestDuration: {"traffic_request_duration_seconds", histogramKind,
		"Time from the first byte of a request to the last byte of its response.", byRoute, durationScale},
	addedDuration: {"traffic_added_seconds", histogramKind,
		"Time the proxy added to a request: its duration without the time spent waiting for the server.",
		byRoute, addedScale},
	requestBytes: {"traffic_request_bytes_total", counterKind,
		"Bytes of requests received from clients, heads included.", byRoute, nil},
	responseBytes: {"traffic_response_bytes_total", counterKind,
		"Bytes of responses sent to clients, heads included.", byRoute, nil},

	upstreamErrors: {"traffic_upstream_errors_total", counterKind,
		"Failed attempts at servers, by kind.", []string{"service", "kind"}, nil},
	upstreamConnections: {"traffic_upstream_connections_total", counterKind,
		"Connections to servers established.", byService, nil},
	upstreamReuses: {"traffic_upstream_connection_reuses_total", counterKind,
		"Requests sent on a connection to a server that had served one before.", byService, nil},
	upstreamReplays: {"traffic_upstream_replays_total", counterKind,
		"Requests sent again on another connection, because the one they shared ended or a response before theirs was slow.", byService, nil},
	upstreamOpenConnections: {"traffic_upstream_open_connections", gaugeKind,
		"Connections to servers open now, idle ones included.", byService, nil},
	upstreamRetries: {"traffic_upstream_retries_total", counterKind,
		"Further attempts at a request after a failed one.", byService, nil},
	upstreamRetriesRefused: {"traffic_upstream_retries_refused_total", counterKind,
		"Further attempts put off or given up, because the budget of the retry middleware was used up.", byService, nil},

	serverRequests: {"traffic_server_requests_total", counterKind,
		"Requests sent to the server, each try counted, by outcome: success, or failure when it was the server's fault or the status 500 or above.",
		[]string{"service", "server", "outcome"}, nil},
	serverUp: {"traffic_server_up", gaugeKind,
		"1 unless health checks find the server unable.", byServer, nil},
	serverEjected: {"traffic_server_ejected", gaugeKind,
		"1 while the server is left out for its errors (outlier detection).", byServer, nil},
	serverDraining: {"traffic_server_draining", gaugeKind,
		"1 while the server gets no new requests but those of sticky clients.", byServer, nil},
	serverWeight: {"traffic_server_weight", gaugeKind,
		"Weight in force: the configured one or its override, less during slow start.", byServer, nil},
	serverInFlight: {"traffic_server_in_flight_requests", gaugeKind,
		"Requests the server was given and has not ended.", byServer, nil},
	serverOpenConnections: {"traffic_server_open_connections", gaugeKind,
		"Connections to the server, idle ones and those being opened included.", byServer, nil},
	serverIdleConnections: {"traffic_server_idle_connections", gaugeKind,
		"Idle connections to the server.", byServer, nil},
	serverChanges: {"traffic_server_changes_total", counterKind,
		"Changes of a server's state, by what it became: down, up, ejected, returned.",
		[]string{"service", "server", "to"}, nil},
	breakerState: {"traffic_breaker_state", gaugeKind,
		"0 closed, 1 half-open, 2 open. Without a server it is the state for the whole service.",
		[]string{"service", "server", "breaker"}, nil},
	breakerChanges: {"traffic_breaker_changes_total", counterKind,
		"Changes of a circuit breaker's state, by what it became: closed, half_open, open.",
		[]string{"service", "server", "breaker", "to"}, nil},
	mirrorSent: {"traffic_mirror_requests_total", counterKind,
		"Copies of requests that a middleware began to send.", []string{"middleware"}, nil},
	mirrorShed: {"traffic_mirror_shed_total", counterKind,
		"Copies of requests that were due and were not begun, or were given up, for want of room.", []string{"middleware"}, nil},
	keysFetches: {"traffic_jwks_fetches_total", counterKind,
		"Fetches of the keys of tokens that a middleware names, by result: success, or failure when those from before stay. Middlewares with the same URL share them.",
		[]string{"middleware", "result"}, nil},
	keysLastFetch: {"traffic_jwks_last_success_timestamp_seconds", gaugeKind,
		"When the keys of tokens that a middleware names were last fetched, in seconds since 1970; 0 when they never were.",
		[]string{"middleware"}, nil},

	loopTurnDuration: {"traffic_loop_turn_duration_seconds", histogramKind,
		"Time one turn of an event loop took; its count is the number of turns.", byLoop, turnScale},
	loopStalls: {"traffic_loop_stalls_total", counterKind,
		"Turns of an event loop that took longer than " + StallBound.String() + ".", byLoop, nil},
	loopAcceptPauses: {"traffic_loop_accept_pauses_total", counterKind,
		"Times an event loop stopped accepting connections for a while.", byLoop, nil},
	loopShed: {"traffic_loop_shed_connections_total", counterKind,
		"Client connections closed to make room for others.", byLoop, nil},
	loopShedUpstream: {"traffic_loop_shed_upstream_connections_total", counterKind,
		"Idle connections to servers closed to make room for others.", byLoop, nil},
	loopPanics: {"traffic_loop_panics_total", counterKind,
		"Panics that were contained; each closed one connection, or ended one request when it was in a middleware.", byLoop, nil},

	accessLogLines: {"traffic_access_log_lines_total", counterKind,
		"Lines of the access log written.", nil, nil},
	accessLogDropped: {"traffic_access_log_dropped_lines_total", counterKind,
		"Lines of the access log lost, because the writer was behind or the file could not be written.", nil, nil},
	accessLogWriteErrors: {"traffic_access_log_write_errors_total", counterKind,
		"Failed writes to the access log.", nil, nil},
}

// descs has the catalogue as the Prometheus library wants it.
var descs = func() (t [seriesCount]*prometheus.Desc) {
	for i, d := range catalogue {
		t[i] = prometheus.NewDesc(d.name, d.help, d.labels, nil)
	}
	return t
}()
