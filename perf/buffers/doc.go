// Package buffers compares queues of output: ours, netpoll's LinkBuffer and gnet's elastic buffer. It is a module of
// its own, so that the proxy does not depend on what it was only compared with.
//
//	go test -bench . -benchmem -cpu 1 -count 5
//
// docs/decisions/0002-output-buffers.md has the figures and what followed.
package buffers
