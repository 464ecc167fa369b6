package engine

import (
	"traffic_management/config"
	"traffic_management/engine/exchange"
	"traffic_management/mw"
)

// compress makes the filter that compresses responses.
func (b *builder) compress(_ string, m *config.Middleware) (exchange.Filter, error) {
	c := m.Compress
	o := mw.CompressOptions{MinBody: c.MinBody, Types: c.ContentTypes, Excluded: c.Excluded, ExcludeSetCookie: c.ExcludeSetCookie}
	for _, a := range c.Algorithms {
		coding, _ := mw.LookupCoding(string(a)) // NewCompress refuses what it does not know
		o.Algorithms = append(o.Algorithms, mw.Algorithm{Coding: coding, Level: c.Levels.Of(a)})
	}
	return mw.NewCompress(o)
}
