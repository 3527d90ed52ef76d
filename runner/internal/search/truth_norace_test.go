//go:build !race

package search

import "time"

// The virtual time that is played.
const (
	exactShare     = 1.0              // of the comparison of engine and model
	knownWindow    = 21 * time.Minute // end of the model's window
	mostKnown      = 24               // agents of the model
	shortestWindow = 60 * time.Second // of a phase
	retests        = 1                // of an edge
)
