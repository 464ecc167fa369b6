package upstream

// EventKind says what an Event is about.
type EventKind uint8

// Kinds of events.
const (
	EventHealth   EventKind = iota // health checks found a target up or down
	EventEjected                   // a target failed too often and is left out for a while
	EventReturned                  // an ejected target takes requests again
	EventBreaker                   // a circuit breaker changed its state
	eventKinds
)

var eventNames = [eventKinds]string{EventHealth: "health", EventEjected: "ejected", EventReturned: "returned",
	EventBreaker: "breaker"}

func (k EventKind) String() string {
	if k < eventKinds {
		return eventNames[k]
	}
	return "?"
}

// Event is one change of what a service's targets may be given, for logs and counts.
type Event struct {
	Service *Service
	Target  *Target // nil: the service as a whole
	Breaker string  // the breaker's name, with EventBreaker
	What    EventKind
	From    string // state before
	To      string // state after
	Why     string
}

// tell reports an event of the service.
func (s *Service) tell(e Event) {
	if s.events != nil {
		e.Service = s
		s.events(e)
	}
}
