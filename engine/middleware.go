package engine

import (
	"traffic_management/config"
	"traffic_management/engine/exchange"
	"traffic_management/upstream"
)

// equip gives a route the middlewares that its router names.
func equip(route *exchange.Route, names []string, c *config.Config) {
	for _, name := range names {
		m := c.Middlewares[name]
		if r := m.Retry; r != nil {
			route.Retry = &exchange.RetryPolicy{
				Attempts:        r.Attempts,
				InitialInterval: r.InitialInterval,
				MaxInterval:     r.MaxInterval,
				AttemptTimeout:  r.AttemptTimeout,
				BudgetPercent:   r.BudgetPercent,
				OnStatus:        statusSet(r.OnStatus),
				NonIdempotent:   r.NonIdempotent,
				MaxBody:         r.MaxBody,
			}
		}
		if b := m.CircuitBreaker; b != nil {
			route.Breaker = route.Service.Breaker(upstream.BreakerPolicy{
				Name:             name,
				FailureThreshold: b.FailureThreshold,
				Recovery:         b.Recovery,
				FailureRatio:     b.FailureRatio,
				MinRequests:      b.MinRequests,
				Window:           b.Window,
				HalfOpenRequests: b.HalfOpenRequests,
				Failures:         statusSet(b.StatusCodes),
			})
		}
	}
}
