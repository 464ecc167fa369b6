package interop

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"traffic_management/internal/testcert"
	"traffic_management/perf/process"
)

// rpcs are the test cases of gRPC's interoperability tests, but those that want an account of a cloud and those that Go's
// own server does not pass without a proxy either: pick_first_unary, orca_per_rpc and orca_oob.
var rpcs = []string{"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
	"timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "status_code_and_message",
	"special_status_message", "custom_metadata", "unimplemented_method", "unimplemented_service", "rpc_soak", "channel_soak"}

// TestGRPC has gRPC's own client and server talk through the proxy, with TLS and without on each side.
func TestGRPC(t *testing.T) {
	client := build(t, ".", "google.golang.org/grpc/interop/client")
	for _, scheme := range []string{"h2c", "https"} {
		ca := testcert.New(t)
		b := startBefore(t, ca, behind{app: "http", rpc: rpcServer(t, ca, scheme == "https")})
		for _, w := range ways {
			if !w.http2 {
				continue
			}
			address, args := b.clear, []string(nil)
			if w.tls {
				address, args = b.secure, []string{"--use_tls", "--use_test_ca", "--ca_file", b.caFile}
			}
			_, port, err := net.SplitHostPort(address)
			check(t, err)
			for _, c := range rpcs {
				t.Run(w.name+" to "+scheme+" "+c, func(t *testing.T) {
					run(t, client, append(args, "--server_host", "localhost", "--server_port", port, "--test_case", c,
						// Closing a channel takes gRPC's client 5 s now and then, without a proxy too.
						"--soak_per_iteration_max_acceptable_latency_ms", "9000", "--soak_overall_timeout_seconds", "60")...)
				})
			}
		}
	}
}

// rpcServer starts gRPC's server and returns its URL.
func rpcServer(t *testing.T, ca *testcert.CA, tls bool) string {
	t.Helper()
	address, err := process.FreeAddress()
	check(t, err)
	_, port, err := net.SplitHostPort(address)
	check(t, err)
	dir := t.TempDir()
	args, scheme := []string{"--port", port}, "h2c://"
	if tls {
		certificate, key := ca.Leaf("localhost", "127.0.0.1")
		check(t, os.WriteFile(filepath.Join(dir, "rpc.pem"), certificate, 0o600))
		check(t, os.WriteFile(filepath.Join(dir, "rpc.key"), key, 0o600))
		args = append(args, "--use_tls", "--tls_cert_file", filepath.Join(dir, "rpc.pem"), "--tls_key_file", filepath.Join(dir, "rpc.key"))
		scheme = "https://"
	}
	p, err := process.Start(t.Context(), process.Spec{Path: build(t, ".", "google.golang.org/grpc/interop/server"), Args: args,
		CPU: process.AnyCPU, Log: filepath.Join(dir, "rpc.log")})
	check(t, err)
	t.Cleanup(p.Stop)
	check(t, p.Ready(t.Context(), address))
	return scheme + address
}
