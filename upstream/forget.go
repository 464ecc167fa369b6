package upstream

// Adopt brings this loop's part of a service up to its present servers at once, rather than with the next request:
// connections to servers that left are closed when they have finished what they carry.
func (p *Pools) Adopt(s *Service) { p.local(s) }

// Forget gives up this loop's part of a service that nothing uses any more.
func (p *Pools) Forget(s *Service) {
	if s.slot >= len(p.services) || p.services[s.slot] == nil {
		return
	}
	for _, q := range p.services[s.slot].pools {
		q.retire()
	}
	p.services[s.slot] = nil
}
