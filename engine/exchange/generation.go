package exchange

import "traffic_management/internal/invariant"

// Generation counts the exchanges of one loop that run with one configuration, so that it is known when nothing needs
// a configuration any more that was replaced. It belongs to the loop.
type Generation struct {
	Number uint64 // of the configuration; immutable

	running int
	over    func() // set while the configuration is replaced and exchanges run with it
}

// Running is how many exchanges run with the configuration.
func (g *Generation) Running() int { return g.running }

// Retire says that no exchange begins with the configuration any more; over is called once, on the loop, when the last
// one has ended, which may be now.
func (g *Generation) Retire(over func()) {
	if g.running == 0 {
		over()
		return
	}
	g.over = over
}

func (g *Generation) leave() {
	g.running--
	invariant.Check(g.running >= 0, "as many exchanges end with a configuration as began with it")
	if g.running == 0 && g.over != nil {
		over := g.over
		g.over = nil
		over()
	}
}
