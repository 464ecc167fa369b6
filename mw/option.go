package mw

import "fmt"

// OptionError is an option that no filter can be made with.
type OptionError struct {
	Key string // of the option under the middleware's kind in a file, as in "cors.allow_origins[0]"
	Err error
}

func (e *OptionError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *OptionError) Unwrap() error { return e.Err }

// wrong is an OptionError.
func wrong(key, format string, args ...any) error {
	return &OptionError{Key: key, Err: fmt.Errorf(format, args...)}
}
