// Package engine is the proxy: it compiles a configuration, opens the listeners and runs the loops.
//
//	config.Config ──build──▶ snapshot ──▶ worker (one for each loop) ──▶ frontend.EntryPoint ──▶ exchange.Env
//	                                        │ reactor.EventLoop
//	                                        │ upstream.Pools
//	                                        └ observer ──▶ telemetry
//
// A reload builds another snapshot aside and has every worker adopt it (reload.go); what still runs with the one before
// is followed until it has ended (generations.go). An upgrade passes every listening socket to a new process
// (upgrade.go, inherit.go).
package engine
