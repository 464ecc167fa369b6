package frontend

// Counts is how many client connections are in which part of their life.
type Counts struct {
	Fresh   int // accepted a moment ago: in their TLS handshake, or sent nothing yet
	Idle    int // between requests
	Active  int // a request or its response is under way
	Tunnels int // turned to another protocol; those inside HTTP/2 connections are not counted here
}

// Open is how many there are.
func (c Counts) Open() int { return c.Fresh + c.Idle + c.Active + c.Tunnels }

// Counts is how many connections of the set are in which part of their life. On the loop.
func (s *Connections) Counts() Counts {
	return Counts{Fresh: s.counts[partFresh], Idle: s.counts[partIdle], Active: s.counts[partActive],
		Tunnels: s.counts[partTunnel]}
}
