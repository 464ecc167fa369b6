// Package telemetry counts and logs what the proxy does. It imports none of the other rooms.
//
// Metrics: whoever compiles a configuration asks the Registry for the series it needs and keeps the shard of its loop;
// the loop then only adds to plain words of its own. A scrape sums the shards of all loops.
//
//	build:   Registry.Route(router, service) ─▶ Route.Shard(loop) ─▶ *RouteShard, kept in the compiled route
//	loop:    RouteShard.Done(...)                plain additions, no lock, no allocation
//	scrape:  Registry.Handler ─▶ Collect ─▶ sums over the shards
//
// Access log: each loop formats lines into buffers of its own and hands full or aged ones to one writer goroutine.
//
//	loop:    LogShard.Append(record) ─▶ buffer ─▶ LogShard.Flush ──channel──▶ writer ─▶ file
//	                                      ▲──────────── empty buffer ◀───────────┘
package telemetry
