package power

import (
	"time"

	"agentwatt/shared/clock"
)

// epoch is where test series begin: any whole second will do.
const epoch = clock.Stamp(1_780_000_000_000_000_000)

// point is a reading in ms after epoch and in raw counts.
type point struct{ ms, raw int64 }

func readings(ps ...point) []Sample {
	out := make([]Sample, len(ps))
	for i, p := range ps {
		out[i] = Sample{Time: after(p.ms), Raw: p.raw}
	}
	return out
}

// every makes a reading each step ms from `from` to `to`, of raw(ms).
func every(from, to, step int64, raw func(ms int64) int64) []Sample {
	var ps []point
	for ms := from; ms <= to; ms += step {
		ps = append(ps, point{ms, raw(ms)})
	}
	return readings(ps...)
}

func after(ms int64) clock.Stamp {
	return epoch.Add(time.Duration(ms) * time.Millisecond)
}

func constant(v int64) func(int64) int64 { return func(int64) int64 { return v } }

// codes lists the codes of a use's warnings, each once, in order of appearance.
func codes(u Use) []Code {
	var out []Code
	for _, w := range u.Warnings {
		if len(out) == 0 || out[len(out)-1] != w.Code {
			out = append(out, w.Code)
		}
	}
	return out
}

// The meters of the tests. All say what they are, so that no default is taken.
func wattMeter(q Quantity) Meter {
	return Meter{ID: "test/power", Device: "d", Scope: Accelerator, Quantity: q, Scale: Scale{1_000_000, 1}, PeriodFrom: Specification}
}

func jouleMeter() Meter {
	return Meter{ID: "test/energy", Device: "d", Scope: Accelerator, Quantity: Counter, Scale: Scale{1_000, 1},
		Period: 100 * time.Millisecond, PeriodFrom: Specification}
}
