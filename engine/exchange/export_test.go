package exchange

// Free is the exchanges that wait for their next request.
func (l *Local) Free() []*Exchange { return l.free }
