//go:build !race

package search

import "time"

// The virtual time that is played.
const (
	exactShare  = 1.0
	knownWindow = 21 * time.Minute
)
