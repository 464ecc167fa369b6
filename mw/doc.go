// Package mw is the middlewares: filters of a route that change requests and responses, answer in a server's place, or
// make one wait (exchange.Filter). All loops share a filter: what it holds is immutable or atomic.
package mw
