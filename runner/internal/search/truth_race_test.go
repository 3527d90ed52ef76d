//go:build race

package search

import "time"

// The parts of virtual time that are played under the race detector, which makes it about ten times as slow.
const (
	exactShare  = 0.2
	knownWindow = 16 * time.Minute
)
