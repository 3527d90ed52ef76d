package bus

import (
	"cmp"
	"slices"

	"agentwatt/shared/power"
)

// maxCarried is how many records of losses are carried on when the batches that say them are discarded in their turn: one
// for each source of each run, so those of a thousand restarts. Beyond that the oldest are forgotten.
const maxCarried = 4096

// mergeLosses joins what touches or overlaps and has the same reason. The order of runs and sources is that of their first
// appearance, within one it is by number.
func mergeLosses(losses []power.Loss) []power.Loss {
	type group struct{ run, source, reason string }
	order := map[group]int{}
	for _, l := range losses {
		g := group{l.Run, l.Source, l.Reason}
		if _, ok := order[g]; !ok {
			order[g] = len(order)
		}
	}
	sorted := slices.Clone(losses)
	slices.SortStableFunc(sorted, func(a, b power.Loss) int {
		return cmp.Or(
			cmp.Compare(order[group{a.Run, a.Source, a.Reason}], order[group{b.Run, b.Source, b.Reason}]),
			cmp.Compare(a.First, b.First))
	})
	out := sorted[:0]
	for _, l := range sorted {
		if n := len(out); n > 0 && joined(&out[n-1], l) {
			continue
		}
		out = append(out, l)
	}
	return out
}

// joined makes a the union of a and b, where a begins first, if they touch and are the same kind of loss.
func joined(a *power.Loss, b power.Loss) bool {
	if a.Run != b.Run || a.Source != b.Source || a.Reason != b.Reason {
		return false
	}
	switch {
	case a.Last == 0: // up to an end that is not known
		return true
	case b.First > a.Last && b.First-a.Last > 1:
		return false
	case b.Last == 0:
		a.Last = 0
	default:
		a.Last = max(a.Last, b.Last)
	}
	return true
}
