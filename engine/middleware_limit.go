package engine

import (
	"traffic_management/config"
	"traffic_management/engine/exchange"
	"traffic_management/mw"
)

// limit is a middleware that counts, with what it was made of. One with the same name and the same settings goes on with
// its counts after a reload.
type limit struct {
	settings any // comparable
	filter   exchange.Filter
}

// limitOf is the filter of this name with these settings: that of the configuration before, or a new one.
func limitOf[O comparable, F exchange.Filter](b *builder, name string, settings O, create func(O) (F, error)) (exchange.Filter, error) {
	if kept, ok := b.known.limits[name]; ok && kept.settings == any(settings) {
		return kept.filter, nil
	}
	f, err := create(settings)
	if err != nil {
		return nil, err
	}
	b.known.limits[name] = limit{settings, f}
	return f, nil
}

// forgetLimits drops those of middlewares that the configuration does not have.
func (b *builder) forgetLimits() {
	for name := range b.known.limits {
		if m := b.config.Middlewares[name]; m == nil || m.RateLimit == nil && m.InFlightLimit == nil && m.Mirror == nil {
			delete(b.known.limits, name)
		}
	}
}

var keyKinds = map[config.LimitKind]mw.KeyKind{config.LimitClientIP: mw.KeyClientIP, config.LimitGlobal: mw.KeyGlobal,
	config.LimitHeader: mw.KeyHeader}

func buildKey(k config.LimitKey) mw.Key { return mw.Key{Kind: keyKinds[k.Kind], Header: k.Name} }

func (b *builder) rateLimit(name string, m *config.Middleware) (exchange.Filter, error) {
	r := m.RateLimit
	return limitOf(b, name, mw.RateLimitOptions{Name: name, Average: r.Average, Burst: r.Burst, Period: r.Period,
		Key: buildKey(r.Key)}, mw.NewRateLimit)
}

func (b *builder) inFlightLimit(name string, m *config.Middleware) (exchange.Filter, error) {
	l := m.InFlightLimit
	return limitOf(b, name, mw.InFlightLimitOptions{Amount: l.Amount, Key: buildKey(l.Key)}, mw.NewInFlightLimit)
}

func (b *builder) ipAllowList(_ string, m *config.Middleware) (exchange.Filter, error) {
	return mw.NewIPAllowList(mw.IPAllowListOptions{SourceRanges: m.IPAllowList.SourceRanges, Depth: m.IPAllowList.Depth})
}
