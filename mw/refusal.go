package mw

import (
	"errors"

	"traffic_management/codec"
)

// refusal is why a request is refused, with a status of 4xx; made once, and shared.
func refusal(status int, why string) *codec.Error {
	return &codec.Error{Side: codec.Client, Kind: codec.KindNone, Status: status, Cause: errors.New(why)}
}
