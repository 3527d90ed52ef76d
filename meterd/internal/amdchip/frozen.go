package amdchip

import (
	"time"

	"agentwatt/shared/clock"
)

// Watch looks for an energy counter that stands still while power is drawn, as some firmware had it (amdsmi issues 22 and 38,
// rocm_smi_lib issue 180). The zero Watch is ready. It judges nothing: what it finds becomes a note.
type Watch struct {
	counts int64
	since  clock.Stamp // when counts was seen first; zero: nothing seen yet
	frozen bool
}

// stillFor is how long a counter must stand still before it is said to be frozen. One count is 15 µJ and the table is renewed
// within milliseconds, so that a counter that works never does.
const stillFor = 2 * time.Second

// Look takes one reading and returns "frozen" or "counting" when that begins to be so, else nothing. A reading without power
// proves nothing and begins anew.
func (w *Watch) Look(at clock.Stamp, counts, watts int64) string {
	switch {
	case w.since == 0 || counts != w.counts:
		w.counts, w.since = counts, at
		if w.frozen {
			w.frozen = false
			return "counting"
		}
	case watts <= 0:
		w.since = at
	case !w.frozen && at.Sub(w.since) >= stillFor:
		w.frozen = true
		return "frozen"
	}
	return ""
}
