package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a configuration file. Line and Column count from 1, columns in characters; Line is 0 when
// only the file is known.
type Position struct {
	File         string
	Line, Column int
}

// String is "file:line:column".
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// comparePositions orders positions of one file.
func comparePositions(a, b Position) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// Error is one fault of a configuration file.
type Error struct {
	Position
	Key string // the key path, as in "services.api.servers[0].url"; empty when the fault is in no key
	Msg string // what is wrong and what was expected
}

func (e Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s: %s", e.Position, e.Msg)
	}
	return fmt.Sprintf("%s: %s: %s", e.Position, e.Key, e.Msg)
}

// Errors is every fault found in one file, sorted by position.
type Errors []Error

// Error is one line for each fault.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Sort puts the faults in the order of their positions; for those who add faults of their own.
func (e Errors) Sort() {
	slices.SortStableFunc(e, func(a, b Error) int {
		return cmp.Or(comparePositions(a.Position, b.Position), strings.Compare(a.Key, b.Key))
	})
}
