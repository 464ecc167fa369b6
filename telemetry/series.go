package telemetry

import "github.com/prometheus/client_golang/prometheus"

// series names one family of metrics in the table below.
type series uint8

const (
	buildInfo series = iota
	configLoads
	configLastLoadSuccessful
	configLastSuccess
	entryPointConnections
	entryPointOpenConnections
	clientErrors
	requests
	requestDuration
	addedDuration
	requestBytes
	responseBytes
	upstreamErrors
	upstreamConnections
	upstreamReuses
	upstreamOpenConnections
	upstreamRetries
	loopTurnDuration
	loopStalls
	loopAcceptPauses
	loopShed
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

	entryPointConnections: {"traffic_entrypoint_connections_total", counterKind,
		"Client connections accepted.", byEntryPoint, nil},
	entryPointOpenConnections: {"traffic_entrypoint_open_connections", gaugeKind,
		"Client connections open now.", byEntryPoint, nil},
	clientErrors: {"traffic_client_errors_total", counterKind,
		"Errors of clients that belong to no route, such as malformed requests, by kind.",
		[]string{"entrypoint", "kind"}, nil},

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
	upstreamOpenConnections: {"traffic_upstream_open_connections", gaugeKind,
		"Connections to servers open now, idle ones included.", byService, nil},
	upstreamRetries: {"traffic_upstream_retries_total", counterKind,
		"Further attempts at a request after a failed one.", byService, nil},

	loopTurnDuration: {"traffic_loop_turn_duration_seconds", histogramKind,
		"Time one turn of an event loop took; its count is the number of turns.", byLoop, turnScale},
	loopStalls: {"traffic_loop_stalls_total", counterKind,
		"Turns of an event loop that took longer than " + StallBound.String() + ".", byLoop, nil},
	loopAcceptPauses: {"traffic_loop_accept_pauses_total", counterKind,
		"Times an event loop stopped accepting connections for a while.", byLoop, nil},
	loopShed: {"traffic_loop_shed_connections_total", counterKind,
		"Connections closed to make room for others.", byLoop, nil},
	loopPanics: {"traffic_loop_panics_total", counterKind,
		"Panics that were contained; each closed one connection.", byLoop, nil},

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
