// Package engine is the proxy: it compiles a configuration, opens the listeners and runs the loops.
//
//	config.Config ──build──▶ snapshot ──▶ worker (one for each loop) ──▶ frontend.EntryPoint ──▶ exchange.Env
//	                                        │ reactor.EventLoop
//	                                        │ upstream.Pools
//	                                        └ observer ──▶ telemetry
package engine
