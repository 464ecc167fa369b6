package upstream

// Adopt brings this loop's part of a service up to its present servers at once, rather than with the next request:
// connections to servers that left are closed when they have finished what they carry.
func (p *Pools) Adopt(s *Service) {
	if p.has(s) {
		p.local(s)
	}
}

// Forget gives up this loop's part of a service that nothing uses any more.
func (p *Pools) Forget(s *Service) {
	if !p.has(s) {
		return
	}
	for _, q := range p.services[s.slot].pools {
		q.retire()
	}
	p.services[s.slot] = nil
}

// has reports whether the loop had a request for the service.
func (p *Pools) has(s *Service) bool { return s.slot < len(p.services) && p.services[s.slot] != nil }
