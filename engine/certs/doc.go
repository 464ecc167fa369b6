// Package certs makes the tls.Configs of entry points and of connections to servers, and keeps them up to date.
//
//	config.TLS ──NewServer──▶ Server ──Config──▶ handshakes: GetConfigForClient ─▶ table: name ─▶ options, certificate
//	files that changed ──Refresh──▶ a new table      │
//	                                                 └──Options──▶ 421 for hosts with other options (exchange.HostOptions)
//	Keeper: what outlasts configurations: keys of session tickets, OCSP responses, sessions with servers
//
// Certificates of one entry point may ask different things of clients. Each such set of options has ticket keys of its
// own, so that no session made with one is resumed with another, and a number, by which requests for a host of another
// set are told apart.
//
// Nothing here is the loop's: handshakes run on goroutines, and only Server.Options is called on a loop.
package certs
