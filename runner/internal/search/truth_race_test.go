//go:build race

package search

import "time"

// The virtual time that is played under the race detector, which makes it about ten times as slow.
const (
	exactShare     = 0.2
	knownWindow    = 4 * time.Minute
	mostKnown      = 16
	shortestWindow = 40 * time.Second
	retests        = 0
)
