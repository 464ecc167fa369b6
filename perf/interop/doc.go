// Package interop holds that programs of others understand the proxy: it builds the real binary and lets them speak
// HTTP/1.1 and HTTP/2 through it, with TLS and without.
//
//	curl, nghttp, node, Chromium, Go, gRPC, h2spec ──▶ traffic_management ──▶ an application, a gRPC server
//
// It is a module of its own, so that what it needs is no requirement of the proxy's. `make interop` runs it and installs
// the programs. Without one of them its test fails where CI is set and is skipped elsewhere.
package interop
