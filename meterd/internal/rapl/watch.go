package rapl

import (
	"fmt"
	"path/filepath"
	"time"

	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// The keys of this source's notes.
const (
	keyLimit = "power_limit_watts"   // the long-term cap in force when the source was opened
	keyWrap  = "wrap_seconds"        // the time in which the counter wraps at the device's limit; "unknown" where its range is not given
	keyApart = "reads_apart_seconds" // the time between two reads, where in it a counter may have wrapped unseen
)

// watch knows how far apart reads may be. A counter that went round once more than was seen loses that energy without a
// trace, so reads must not be further apart than half of its wrap time at the limit.
type watch struct {
	most    time.Duration // half of the shortest wrap time; 0: none is known
	last    clock.Stamp
	apart   bool // the last two reads were too far apart
	pending []power.Note
}

// tell takes note of one counter.
func (w *watch) tell(m power.Meter, z zone, now clock.Stamp) {
	say := func(key, format string, value any) {
		w.pending = append(w.pending, power.Note{Time: now, Device: m.Device, Key: key, Value: fmt.Sprintf(format, value)})
	}
	if v, err := sysfs.Int(filepath.Join(z.dir, "constraint_0_power_limit_uw")); err == nil && v > 0 {
		say(keyLimit, "%g", power.Power(v).Watts())
	}
	switch {
	case m.Wrap == 0:
		// The hardware counts 32 bits of a unit that only a model-specific register tells: the wrap is there, but not known,
		// and power.Between will take it for a reset.
		say(keyWrap, "%s", "unknown")
	case m.Limit > 0:
		wrap := time.Duration(float64(m.Wrap) / float64(m.Limit) * float64(time.Second))
		say(keyWrap, "%.0f", wrap.Seconds())
		if half := wrap / 2; w.most == 0 || half < w.most {
			w.most = half
		}
	}
}

// read takes note of a read.
func (w *watch) read(now clock.Stamp) {
	apart := w.last != 0 && w.most > 0 && now.Sub(w.last) > w.most
	if apart && !w.apart {
		w.pending = append(w.pending, power.Note{Time: now, Key: keyApart, Value: fmt.Sprintf("%.0f", now.Sub(w.last).Seconds())})
	}
	w.apart, w.last = apart, now
}

func (w *watch) notes(dst []power.Note) []power.Note {
	dst = append(dst, w.pending...)
	w.pending = w.pending[:0]
	return dst
}
