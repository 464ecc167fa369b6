package h2

// Reasons are those of the errors that end a connection, for who counts them. Immutable.
var Reasons = func() (names []string) {
	for _, e := range [...]*Error{errPreface, errNoSettings, errFrameSize, errStreamID, errIdleStream, errClosedStream,
		errSettings, errWindow, errZeroWindow, errPadding, errContinuation, errPush, errGoAway, errPriority, errCompression,
		errHeadLong, errFragments, errUnread, errResets, errSettingsRate, errPings, errEmptyData, errPriorities, errUpdates,
		errUnknown} {
		names = append(names, e.Reason)
	}
	return names
}()
