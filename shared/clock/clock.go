// Package clock gives stamps that never step and says how far they can be trusted.
//
// A process anchors its monotonic clock to the wall clock once (New); every stamp after that is the anchor plus
// monotonic time, so an NTP step in the middle of a window cannot tear it. How good the wall clock was is a
// separate fact, the kernel's own clock state (Kernel), and travels beside the stamps.
package clock

import "time"

// Stamp is a point in time in nanoseconds since the Unix epoch, on an anchored clock (Clock). Zero means "not known".
type Stamp int64

// At converts a wall-clock time to a Stamp; the zero time becomes the zero Stamp.
func At(t time.Time) Stamp {
	if t.IsZero() {
		return 0
	}
	return Stamp(t.UnixNano())
}

// Time returns the stamp as a UTC time; the zero Stamp becomes the zero time.
func (s Stamp) Time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(s)).UTC()
}

// Add returns the stamp d later.
func (s Stamp) Add(d time.Duration) Stamp { return s + Stamp(d) }

// Sub returns how long after t the stamp s is.
func (s Stamp) Sub(t Stamp) time.Duration { return time.Duration(s - t) }

// String prints the stamp as RFC 3339 with nanoseconds, or "never" for the zero Stamp.
func (s Stamp) String() string {
	if s == 0 {
		return "never"
	}
	return s.Time().Format(time.RFC3339Nano)
}

// State is the kernel's opinion of its wall clock at one moment (adjtimex). The zero State means "not known".
type State struct {
	Read         Stamp         // when the state was read; zero: not known
	Offset       time.Duration // correction the kernel is still applying
	EstError     time.Duration // estimated error
	MaxError     time.Duration // bound on the error
	Synchronised bool          // a time daemon disciplines the clock
	Epoch        Stamp         // the process's stamp of the kernel's monotonic zero: processes of one boot compare clocks exactly by it
}
