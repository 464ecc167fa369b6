package frontend

// Counts is how many client connections are in which part of their life.
type Counts struct {
	Fresh   int // sent nothing yet
	Idle    int // between requests
	Active  int // a request or its response is under way
	Tunnels int // turned to another protocol
}

// Open is how many there are.
func (c Counts) Open() int { return c.Fresh + c.Idle + c.Active + c.Tunnels }

// Counts is how many connections of the set are in which part of their life. On the loop.
func (s *Connections) Counts() Counts {
	return Counts{Fresh: s.fresh.n, Idle: s.idle.n, Active: s.active.n, Tunnels: s.tunnels.n}
}
